"use strict";
const SETTINGS = {displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d"]};

function drawFigure(place) {
  const figure = JSON.parse(place.querySelector("script").textContent);
  const canvas = place.querySelector(".canvas");
  canvas.textContent = "";
  Plotly.newPlot(canvas, figure.data, figure.layout, SETTINGS);
  waiting.delete(place);
}

const waiting = new Set(document.querySelectorAll(".figure"));

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      seen.unobserve(entry.target);
      drawFigure(entry.target);
    }
  }
}, {rootMargin: "600px"});
waiting.forEach((place) => seen.observe(place));
window.addEventListener("beforeprint", () => waiting.forEach(drawFigure));

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "cross", "star"];
const LONGEST_NAME = 26;

// The nodes around an RNA, by network, each node once: [{kind, node, weight}].
function around(network, centre) {
  const flat = network.edges[centre];
  const found = [];
  const seen = new Set([centre]);
  for (let i = 0; i < flat.length; i += 3) {
    if (!seen.has(flat[i + 1])) {
      seen.add(flat[i + 1]);
      found.push({kind: flat[i], node: flat[i + 1], weight: flat[i + 2]});
    }
  }
  return found;
}

function drawNeighbourhood(place, network, centre) {
  const nodes = around(network, centre);
  const where = new Map([[centre, [0, 0]]]);
  nodes.forEach((entry, i) => {
    const angle = 2 * Math.PI * i / nodes.length;
    const radius = 1 + 0.28 * (i % 2);
    where.set(entry.node, [radius * Math.cos(angle), radius * Math.sin(angle)]);
  });
  const lines = network.kinds.map(() => ({x: [], y: []}));
  for (const from of where.keys()) {
    if (from >= network.edges.length) continue;
    const flat = network.edges[from];
    for (let i = 0; i < flat.length; i += 3) {
      const to = where.get(flat[i + 1]);
      if (!to) continue;
      const start = where.get(from);
      lines[flat[i]].x.push(start[0], to[0], null);
      lines[flat[i]].y.push(start[1], to[1], null);
    }
  }
  const traces = network.kinds.map((name, kind) => ({
    type: "scatter", mode: "lines", name: name, x: lines[kind].x, y: lines[kind].y,
    hoverinfo: "skip", opacity: 0.55,
    line: {color: COLOURS[kind % 7], dash: DASHES[kind % 7], width: 1.4},
  }));
  const shown = [{kind: -1, node: centre, weight: 0}, ...nodes];
  const short = (name) => name.length > LONGEST_NAME && !name.includes("&")
    ? name.slice(0, LONGEST_NAME - 1) + "…" : name;
  traces.push({
    type: "scatter", mode: "markers+text", showlegend: false,
    x: shown.map((entry) => where.get(entry.node)[0]),
    y: shown.map((entry) => where.get(entry.node)[1]),
    text: shown.map((entry) => short(network.names[entry.node])),
    textposition: shown.map((entry) => {
      const [x, y] = where.get(entry.node);
      if (entry.kind < 0) return "top center";
      if (Math.abs(x) < 0.25) return y > 0 ? "top center" : "bottom center";
      return x > 0 ? "middle right" : "middle left";
    }),
    textfont: {size: 11},
    customdata: shown.map((entry) => entry.node),
    hovertext: shown.map((entry) => entry.kind < 0 ? network.names[entry.node]
      : `${network.names[entry.node]}<br>${network.kinds[entry.kind]}: weight ${entry.weight}`),
    hoverinfo: "text",
    marker: {
      size: shown.map((entry) => entry.kind < 0 ? 15 : 9),
      color: shown.map((entry) => entry.kind < 0 ? "#000000" : COLOURS[entry.kind % 7]),
      symbol: shown.map((entry) => entry.kind < 0 ? "circle" : SYMBOLS[entry.kind % 7]),
    },
  });
  const axis = {visible: false, range: [-2.3, 2.3]};
  const layout = {
    height: 620, margin: {l: 10, r: 10, t: 40, b: 10}, xaxis: axis,
    yaxis: {visible: false, range: [-1.5, 1.5]}, hovermode: "closest",
    legend: {orientation: "h", x: 0, y: 1.02, yanchor: "bottom"},
    font: {size: 13, color: "#222", family: "system-ui, sans-serif"},
  };
  return Plotly.react(place.querySelector(".canvas"), traces, layout, SETTINGS);
}

document.querySelectorAll(".neighbourhood").forEach((place) => {
  const network = JSON.parse(place.querySelector("script").textContent);
  const names = Array.from(place.querySelectorAll("option"), (option) => option.value);
  const input = place.querySelector("input");
  const status = place.querySelector("[role=status]");
  const canvas = place.querySelector(".canvas");
  let isListening = false;
  async function show() {
    const wanted = input.value.trim();
    let centre = names.indexOf(wanted);
    if (centre < 0) centre = names.findIndex((name) => name.toLowerCase() === wanted.toLowerCase());
    if (centre < 0) {
      status.textContent = "no RNA of this name in the networks";
      return;
    }
    status.textContent = "";
    await drawNeighbourhood(place, network, centre);
    if (!isListening) {
      isListening = true;
      canvas.on("plotly_click", (event) => {
        const node = event.points[0].customdata;
        if (node < names.length) {
          input.value = names[node];
          show();
        }
      });
    }
  }
  input.addEventListener("change", show);
  show();
});
