"use strict";
const SETTINGS = {displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d"]};

function drawFigure(place) {
  const figure = JSON.parse(place.querySelector("script").textContent);
  const canvas = place.querySelector(".canvas");
  canvas.textContent = "";
  Plotly.newPlot(canvas, figure.data, figure.layout, SETTINGS);
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      seen.unobserve(entry.target);
      drawFigure(entry.target);
    }
  }
}, {rootMargin: "600px"});
document.querySelectorAll(".figure").forEach((place) => seen.observe(place));
