// Requests to the server of this page; a refused one is an Error with its sentence.

const UNREACHED = "the server does not answer; it may have been stopped";

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error(UNREACHED);
  }
  if (!response.ok) {
    let message = `the server refused the request (${response.status})`;
    try {
      message = (await response.json()).error ?? message;
    } catch { /* not from our server: the status is all that is known */ }
    throw new Error(message);
  }
  return response;
}

export async function get(path) {
  return (await send(path)).json();
}

export async function post(path, body) {
  return (await postFor(path, body)).json();
}

export function postFor(path, body) {
  const headers = {"content-type": "application/json"};
  return send(path, {method: "POST", headers, body: JSON.stringify(body)});
}

export async function postFile(path, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value) form.append(name, value);
  }
  return (await send(path, {method: "POST", body: form})).json();
}

export function drop(path) {
  return send(path, {method: "DELETE"});
}

// Give a file to the user.
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// An element with attributes and children; texts are never read as markup.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
