// Table of predictions: sorted, filtered, shown in parts.

import {make} from "./api.js";

const ROWS_SHOWN = 250;

const COLUMNS = [
  {key: "name", title: "RNA", text: (record) => record.query},
  {key: "warning", title: "warning", text: (record) => record.warning},
  {key: "source", title: "predicted by", text: (record) => record.source},
  {key: "modalities", title: "modalities", text: (record) => record.modalities.replaceAll(";", ", ")},
];

const collator = new Intl.Collator("en", {numeric: true, sensitivity: "base"});

function short(value) {
  return value >= 0.015 && value <= 0.985 ? value.toFixed(2) : value.toFixed(3);
}

export class PredictionTable {
  // `explain` is called with the row of an RNA; `changed` after every sorting or filtering.
  constructor(table, more, explain, changed) {
    this.head = table.tHead;
    this.body = table.tBodies[0];
    this.more = more;
    this.explain = explain;
    this.changed = changed;
    more.addEventListener("click", () => this.show(this.nShown + ROWS_SHOWN));
  }

  fill(answer, isExplained) {
    this.compartments = answer.compartments;
    this.records = answer.predictions;
    this.isExplained = isExplained;
    this.sorted = {key: "", descending: false};
    this.filter = {text: "", called: "", warned: false};
    const [name, ...others] = COLUMNS;
    const compartments = this.compartments.map((title) => ({key: `in ${title}`, title, compartment: title}));
    this.columns = [name, ...compartments, ...others];
    const cells = this.columns.map((column) => {
      const button = make("button", {type: "button"}, column.title, make("span", {class: "arrow", "aria-hidden": "true"}));
      button.addEventListener("click", () => this.sort(column));
      return make("th", {scope: "col", class: column.compartment ? "number" : null}, button);
    });
    this.head.replaceChildren(make("tr", {}, ...cells));
    this.update();
  }

  // Largest probability first, then smallest, then the order asked; texts from A on.
  sort(column) {
    const first = Boolean(column.compartment);
    if (this.sorted.key !== column.key) {
      this.sorted = {key: column.key, column, descending: first};
    } else if (this.sorted.descending === first) {
      this.sorted = {key: column.key, column, descending: !first};
    } else {
      this.sorted = {key: "", descending: false};
    }
    this.update();
  }

  setFilter(filter) {
    this.filter = filter;
    this.update();
  }

  // Rows that pass the filter, in the order shown.
  update() {
    const text = this.filter.text.trim().toLowerCase();
    const {called, warned} = this.filter;
    this.rows = [];
    this.records.forEach((record, row) => {
      const words = `${record.query} ${record.rna_id} ${record.warning} ${record.source}`;
      if (text && !words.toLowerCase().includes(text)) return;
      if (called && !record.compartments[called].called) return;
      if (warned && !record.warning) return;
      this.rows.push(row);
    });
    const {column, descending} = this.sorted;
    if (this.sorted.key) {
      const sign = descending ? -1 : 1;
      this.rows.sort((a, b) => {
        const [first, second] = [this.records[a], this.records[b]];
        if (!column.compartment) {
          return sign * collator.compare(column.text(first), column.text(second)) || a - b;
        }
        const left = first.compartments[column.compartment].probability;
        const right = second.compartments[column.compartment].probability;
        if (left === null || right === null) return (left === null) - (right === null) || a - b;
        return sign * (left - right) || a - b;
      });
    }
    Array.from(this.head.rows[0].cells).forEach((cell, i) => {
      const isSorted = this.columns[i].key === this.sorted.key;
      const order = descending ? "descending" : "ascending";
      if (isSorted) cell.setAttribute("aria-sort", order);
      else cell.removeAttribute("aria-sort");
      cell.querySelector(".arrow").textContent = isSorted ? (descending ? " ▼" : " ▲") : "";
    });
    this.nShown = 0;
    this.body.replaceChildren();
    this.show(ROWS_SHOWN);
    this.changed();
  }

  show(n) {
    const added = this.rows.slice(this.nShown, n).map((row) => this.row(row));
    this.body.append(...added);
    this.nShown = Math.min(n, this.rows.length);
    const nLeft = this.rows.length - this.nShown;
    this.more.hidden = nLeft === 0;
    this.more.textContent = `Show ${Math.min(nLeft, ROWS_SHOWN)} more rows`;
    this.changed();
  }

  row(number) {
    const record = this.records[number];
    const cells = this.columns.map((column) => {
      if (column.key === "name") return this.nameCell(record, number);
      if (column.compartment) return this.probabilityCell(record.compartments[column.compartment]);
      return make("td", {class: `cell-${column.key}`}, column.text(record));
    });
    return make("tr", {}, ...cells);
  }

  nameCell(record, number) {
    const parts = [];
    if (this.isExplained && record.rna_id) {
      const button = make("button", {type: "button", class: "link", title: "Reasons", "data-row": number}, record.query);
      button.addEventListener("click", () => this.explain(number, record));
      parts.push(button);
    } else {
      parts.push(make("span", {}, record.query));
    }
    if (record.rna_id && record.rna_id !== record.query) {
      parts.push(make("span", {class: "known"}, record.rna_id));
    }
    if (record.warning) {
      parts.push(make("span", {class: "flag", title: record.warning}, "!", make("span", {class: "unseen"}, " has a warning")));
    }
    return make("th", {scope: "row"}, ...parts);
  }

  probabilityCell(cell) {
    if (cell.probability === null) return make("td", {class: "number"}, "-");
    const isCalled = Boolean(cell.called);
    const mark = isCalled ? make("span", {class: "called", "aria-hidden": "true"}, "● ") : null;
    const said = isCalled ? make("span", {class: "unseen"}, " called") : null;
    const interval = cell.low === null ? null
      : make("span", {class: "interval"}, `[${short(cell.low)}, ${short(cell.high)}]`);
    const bar = make("span", {class: "p-bar"});
    bar.style.setProperty("--p", cell.probability.toFixed(3));
    return make("td", {class: isCalled ? "number is-called" : "number"}, mark,
      make("span", {class: "value"}, short(cell.probability)), said, interval, bar);
  }
}
