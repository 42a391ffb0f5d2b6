// The page: asks, waits, shows.

import {drop, get, make, post, postFile, postFor, save} from "./api.js";
import {splitNames, startSuggestions} from "./names.js";
import {ReasonsDialog} from "./reasons.js";
import {PredictionTable} from "./table.js";

const FIRST_WAIT = 60;
const LONGEST_WAIT = 700; // milliseconds between two looks at a job
const FILTER_WAIT = 150;
const LONG_PASTE = 20_000; // characters from which a browser is slow to paste

const $ = (id) => document.getElementById(id);
const form = $("ask");
const submit = form.querySelector("button[type=submit]");
const reasons = new ReasonsDialog($("reasons"));
const table = new PredictionTable($("table"), $("more"), explain, sayShown);

let model = null;
let current = ""; // job that is shown
let waiting = 0; // number of the question that is waited for
let running = "";

function kind() {
  return form.elements.kind.value;
}

function choosePanel() {
  for (const name of ["names", "fasta", "file"]) $(`panel-${name}`).hidden = name !== kind();
  $("panel-reading").hidden = kind() === "names";
}

function complain(message) {
  $("problem").textContent = message;
  $("problem").hidden = !message;
}

// The job of what stands in the form; an Error where nothing does.
function startJob() {
  const reading = {iupac: $("iupac").checked ? "n" : "error", rna_type: $("rna-type")?.value || null};
  if (kind() === "file") {
    const file = $("file").files[0];
    if (!file) throw new Error("choose a file");
    const most = model?.limits.upload_bytes;
    if (file.size > most) {
      throw new Error(`the file has ${(file.size / 1e6).toFixed(1)} MB; this page takes at most ${most / 1e6} MB`);
    }
    return postFile("/api/jobs/upload", {file, ...reading});
  }
  const text = $(kind()).value;
  if (kind() === "names") {
    if (text.trimStart().startsWith(">")) throw new Error("this is FASTA: choose “sequence (FASTA)” above");
    const names = splitNames(text);
    if (!names.length) throw new Error("type one name or more");
    return post("/api/jobs", {names});
  }
  if (!text.trim()) throw new Error("paste one sequence or more");
  return post("/api/jobs", {fasta: text, ...reading});
}

async function predict(event) {
  event.preventDefault();
  waiting += 1;
  const number = waiting;
  complain("");
  $("said").textContent = "";
  stopRunning();
  $("answer").hidden = true;
  showWork({status: "waiting", done: 0, total: 0});
  try {
    let job = await startJob();
    running = job.job;
    let wait = FIRST_WAIT;
    while (job.status === "waiting" || job.status === "running") {
      if (number !== waiting) return;
      showWork(job);
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 1.5, LONGEST_WAIT);
      job = await get(`/api/jobs/${job.job}`);
    }
    if (number !== waiting) return;
    if (job.status !== "done") throw new Error(job.error ?? `the job was ${job.status}`);
    const answer = await get(`/api/jobs/${job.job}/predictions`);
    if (number !== waiting) return;
    running = "";
    showAnswer(job, answer);
  } catch (error) {
    if (number === waiting) complain(error.message);
  } finally {
    if (number === waiting) showWork(null);
  }
}

function showWork(job) {
  $("working").hidden = job === null;
  submit.disabled = job !== null;
  if (job === null) return;
  const progress = $("progress");
  if (job.total) {
    progress.max = job.total;
    progress.value = job.done;
  } else {
    progress.removeAttribute("value");
  }
  const isWaiting = job.status === "waiting" && job.total;
  $("working-text").textContent = isWaiting ? "Waiting for other jobs"
    : `Predicting${job.total ? `: ${job.done} of ${job.total} RNAs` : ""}`;
}

function stopRunning() {
  if (running) drop(`/api/jobs/${running}`).catch(() => {});
  running = "";
}

function stop() {
  waiting += 1;
  stopRunning();
  showWork(null);
  $("said").textContent = "Stopped.";
  submit.focus();
}

function showAnswer(job, answer) {
  current = job.job;
  const missing = job.n_unanswered;
  const left = missing ? `; ${missing} ${missing === 1 ? "name" : "names"} without a prediction` : "";
  $("summary").textContent = `${answer.summary}${left}.`;
  // Those on the model itself stand above the form.
  const remarks = answer.remarks.filter((remark) => !model?.remarks.includes(remark));
  $("remarks").replaceChildren(...remarks.map((remark) => make("p", {class: "warning"}, remark)));
  $("called").replaceChildren($("called").options[0], ...answer.compartments.map((name) => make("option", {}, name)));
  $("called").selectedIndex = 0;
  $("filter").value = "";
  $("warned").checked = false;
  reasons.setCompartments(answer.compartments);
  table.fill(answer, model?.explains ?? true);
  $("answer").hidden = false;
  $("answer-title").focus();
}

function sayShown() {
  const {records, rows, nShown} = table;
  const filtered = rows.length === records.length ? "" : ` of ${records.length}`;
  const part = nShown < rows.length ? `, the first ${nShown} below` : "";
  $("shown").textContent = `${rows.length}${filtered} ${records.length === 1 ? "row" : "rows"}${part}`;
  $("download").disabled = rows.length === 0;
}

function filter() {
  const called = $("called").selectedIndex > 0 ? $("called").value : "";
  table.setFilter({text: $("filter").value, called, warned: $("warned").checked});
}

function explain(row, record) {
  reasons.open(`/api/jobs/${current}/explain`, row, record.query);
}

async function download() {
  complain("");
  const format = $("format").value;
  try {
    const response = await postFor(`/api/jobs/${current}/table`, {format, rows: table.rows});
    save(await response.blob(), `predictions.${format}`);
  } catch (error) {
    complain(error.message);
  }
}

function example() {
  if (kind() === "file") {
    form.elements.kind.value = model.answers_names ? "names" : "fasta";
    choosePanel();
  }
  if (kind() === "names") $("names").value = model.examples.names.join(", ");
  else $("fasta").value = model.examples.fasta;
  $(kind()).focus();
}

form.addEventListener("submit", predict);
form.addEventListener("change", choosePanel);
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
$("stop").addEventListener("click", stop);
$("download").addEventListener("click", download);
$("called").addEventListener("change", filter);
$("warned").addEventListener("change", filter);
let typing = 0;
$("filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(filter, FILTER_WAIT);
});
$("example").addEventListener("click", example);
for (const field of [$("names"), $("fasta")]) {
  field.addEventListener("paste", (event) => {
    const text = event.clipboardData.getData("text/plain");
    if (text.length < LONG_PASTE) return;
    event.preventDefault();
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  });
}
startSuggestions($("names"), $("suggestions"), $("suggested"));
choosePanel();
get("/api/model").then((facts) => {
  model = facts;
  $("example").disabled = false;
}, (error) => complain(error.message));
