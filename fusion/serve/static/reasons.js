// Reasons for a prediction: what speaks for it, what against, partners, similar RNAs, sequence.

import {make, post, save} from "./api.js";

const PUBMED = "https://pubmed.ncbi.nlm.nih.gov/";
const MARKS = {"#": "for-much", "+": "for-some", "=": "against-much", "-": "against-some"};
const GROUP = 10; // nucleotides between two blanks

export class ReasonsDialog {
  constructor(dialog) {
    this.dialog = dialog;
    this.title = dialog.querySelector("h2");
    this.content = dialog.querySelector("#reasons-content");
    this.select = dialog.querySelector("select");
    this.number = 0;
    dialog.querySelector("#close").addEventListener("click", () => dialog.close());
    this.select.addEventListener("change", () => this.load());
  }

  setCompartments(names) {
    this.select.replaceChildren(this.select.options[0], ...names.map((name) => make("option", {}, name)));
  }

  open(address, row, name) {
    this.address = address;
    this.row = row;
    this.name = name;
    this.title.textContent = name;
    this.select.selectedIndex = 0;
    if (!this.dialog.open) this.dialog.showModal();
    this.title.focus();
    this.load();
  }

  async load() {
    this.number += 1;
    const number = this.number;
    this.content.replaceChildren(make("p", {role: "status"}, "Explaining …"));
    const wanted = this.select.selectedIndex > 0 ? [this.select.value] : [];
    let answer;
    try {
      answer = await post(this.address, {row: this.row, compartments: wanted});
    } catch (error) {
      if (number === this.number) {
        this.content.replaceChildren(make("p", {class: "problem", role: "alert"}, error.message));
      }
      return;
    }
    if (number === this.number) this.content.replaceChildren(...this.draw(answer));
  }

  draw(answer) {
    const {reasons} = answer;
    const parts = reasons.remarks.map((remark) => make("p", {class: "remark"}, remark));
    for (const of of reasons.compartments) parts.push(drawCompartment(of, reasons));
    parts.push(make("p", {class: "hint"}, reasons.effect));
    const notes = reasons.notes.map((note) => make("li", {}, note));
    parts.push(make("details", {}, make("summary", {}, "How to read this"), make("ul", {}, ...notes)));
    parts.push(make("details", {}, make("summary", {}, "As text"), make("pre", {}, answer.text)));
    const button = make("button", {type: "button"}, "Download JSON");
    button.addEventListener("click", () => {
      const text = JSON.stringify(answer.explanation, null, 2);
      save(new Blob([text], {type: "application/json"}), "explanation.json");
    });
    parts.push(make("p", {}, button));
    return parts;
  }
}

function drawCompartment(of, reasons) {
  const section = make("section", {class: "reasons"},
    make("h3", {}, `${of.compartment}: probability ${of.probability}`),
    make("p", {class: "verdict"}, of.verdict, of.origin ? `. ${of.origin}` : ""));
  if (of.effects.length) section.append(drawEffects(of.effects));
  const rest = [];
  if (of.smaller.length) rest.push(`smaller or no effect: ${of.smaller.join(", ")}`);
  if (of.unknown.length) rest.push(`unknown of this RNA: ${of.unknown.join(", ")}`);
  if (rest.length) section.append(make("p", {class: "hint"}, `${rest.join("; ")}.`));
  for (const group of of.partners) section.append(drawPartners(group, reasons.shared));
  for (const group of of.similar) section.append(drawSimilar(group, of.compartment));
  if (of.sequence) section.append(drawSequence(of.sequence));
  return section;
}

function drawEffects(effects) {
  const rows = effects.map((effect) => {
    const bar = make("span", {class: `effect ${effect.direction}`});
    bar.style.setProperty("--share", effect.share.toFixed(3));
    const left = make("td", {class: "against"}, effect.direction === "against" ? bar : "");
    const right = make("td", {class: "for"}, effect.direction === "for" ? bar : "");
    return make("tr", {}, make("th", {scope: "row"}, effect.words), left, right,
      make("td", {class: "number"}, effect.text));
  });
  const header = make("tr", {}, make("th", {scope: "col"}, "source"),
    make("th", {scope: "col", class: "against"}, "◀ against"),
    make("th", {scope: "col", class: "for"}, "for ▶"), make("th", {scope: "col", class: "number"}, "effect"));
  return make("table", {class: "effects"}, make("thead", {}, header), make("tbody", {}, ...rows));
}

function drawPartners(group, shared) {
  const items = group.partners.map((partner) => {
    const links = partner.pmids.flatMap((pmid) => [" ",
      make("a", {href: PUBMED + encodeURIComponent(pmid), rel: "noreferrer", target: "_blank"}, `PMID ${pmid}`)]);
    return make("li", {}, `${partner.partner}: ${partner.located} of ${partner.sharing}`, ...links);
  });
  return make("div", {}, make("h4", {}, `Shared ${group.source}`), make("p", {class: "hint"}, `${shared}.`), make("ul", {}, ...items));
}

function drawSimilar(group, compartment) {
  const items = group.rnas.map((near) => make("li", {class: near.annotated ? "yes" : "no"},
    `${near.rna} ${near.similarity.toFixed(2)} `, make("span", {}, near.annotated ? "+" : "−")));
  const how = `Similarity, and whether the RNA is annotated in ${compartment} (+) or not (−).`;
  return make("div", {}, make("h4", {}, `Similar in ${group.network}`), make("p", {class: "hint"}, how),
    make("ul", {class: "inline"}, ...items));
}

function drawSequence(sequence) {
  const track = make("p", {class: "track", translate: "no"});
  let start = 0;
  while (start < sequence.nucleotides.length) {
    const mark = sequence.marks[start];
    const isGroupStart = start % GROUP === 0;
    let end = start + 1;
    while (end < sequence.nucleotides.length && sequence.marks[end] === mark && end % GROUP) end += 1;
    if (isGroupStart && start) track.append(" ");
    const letters = sequence.nucleotides.slice(start, end);
    track.append(MARKS[mark] ? make("span", {class: MARKS[mark]}, letters) : letters);
    start = end;
  }
  const legend = make("p", {class: "hint"}, `${sequence.text} `,
    make("span", {class: "for-much"}, "strongly for"), " ", make("span", {class: "for-some"}, "for"), " ",
    make("span", {class: "against-much"}, "strongly against"), " ", make("span", {class: "against-some"}, "against"));
  return make("div", {}, make("h4", {}, "Sequence"), legend, track);
}
