// The page's behaviour. Whatever comes from the table is set as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
let classes = [];
let tools = {};
let state = null;
let busy = false;
let over = false; // finished: the server is gone on purpose

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(path, { cache: "no-store", ...options });
  const values = await answer.json();
  return { ok: answer.ok, values };
}

async function act(action, more = {}) {
  if (busy || over || !state) return;
  busy = true;
  const before = state;
  try {
    const { ok, values } = await ask(`do/${action}`, { turn: state.turn, row: state.row, ...more });
    if (values.result) {
      showResult(values.result);
      return;
    }
    if (values.state) state = values.state;
    show(ok ? said(action, before) : "");
    complain(ok ? "" : values.error);
  } catch {
    complain("Not saved: silr label does not answer. Start it again with the same command and open its new address; "
      + "everything labelled so far is kept.");
  } finally {
    busy = false;
  }
}

function said(action, before) {
  const where = `${progress()}.`;
  if (action === "label") return `${state.last}. ${where}`;
  if (action === "skip") return `Skipped. ${where}`;
  if (action === "undo") return `Undone${before.last ? `: ${before.last}` : ""}. ${where}`;
  return where;
}

function complain(problem) {
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
}

function show(news) {
  $("bar").max = Math.max(goal(), 1);
  $("bar").value = Math.min(state.done, goal());
  $("done").textContent = progress();
  $("skipped").textContent = String(state.skipped);
  $("left").textContent = duration(state.seconds_left);
  $("precision").textContent = state.half_width === null ? "–" : points(state.half_width);
  $("later").textContent = state.half_width_at_target === null ? "" : `(${plusMinus(state.half_width_at_target)} at ${goal()})`;
  $("width").textContent = state.width === null ? "–" : `${inPoints(state.width)} points`;
  $("width-left").textContent = state.more ? `(about ${state.more} more for ${inPoints(state.width_wanted)})` : "";
  $("undo").disabled = !state.can_undo;
  const ended = state.done >= state.target || state.row === null;
  $("work").hidden = ended;
  $("end").hidden = !ended;
  $("classes").hidden = $("skip").hidden = $("stop").hidden = ended;
  if (ended) showEnd();
  else showText();
  $("live").textContent = news;
}

// How many labels there will be: of a width that is wanted this is an estimate, which each label changes.
function goal() {
  return state.planned ?? state.target;
}

function progress() {
  const guessed = (state.until_width ?? null) !== null && goal() > state.done;
  return guessed ? `${state.done} of about ${goal()}` : `${state.done} of ${state.target}`;
}

function showText() {
  const text = $("text");
  const empty = state.text.trim() === "";
  text.textContent = empty ? "(this text is empty)" : state.text;
  text.classList.toggle("empty", empty);
  text.classList.toggle("long", state.text.length > 1200);
  $("hint").hidden = !("llm_label" in state);
  $("hint").textContent = "llm_label" in state ? `The LLM says: ${state.llm_label}` : "";
  const card = $("card");
  showSaid(state);
  card.scrollTop = 0;
  card.focus({ preventScroll: true });
}

function showEnd() {
  const enough = state.done >= state.target;
  $("end-title").textContent = enough ? `${state.done} texts are labelled` : "No text is left";
  const known = state.half_width === null ? "" : ` That is enough to know the accuracy of the LLM's labels to ${points(state.half_width)}.`;
  $("end-text").textContent = (enough ? "All of them are saved." : "All others are labelled or skipped.") + known + widthAtEnd();
  if (review) [$("end-title").textContent, $("end-text").textContent] = endOfReview(state);
  $("more").hidden = state.row === null;
  $("end-title").focus();
}

function widthAtEnd() {
  if (state.width === null) return "";
  const widest = ` The widest interval of a class share has ${inPoints(state.width)} points`;
  if (state.until_width === null) return `${widest}.`;
  return `${widest}: the wanted width, ${inPoints(state.until_width)} points, is ${state.reached ? "" : "not "}reached.`;
}

function showResult(result) {
  over = true;
  complain("");
  $("work").hidden = $("footer").hidden = $("end-buttons").hidden = true;
  $("end").hidden = false;
  $("end-title").textContent = `Saved: ${result.gold} gold labels`;
  let words = `${result.name} now has the columns gold and gold_weight.`;
  if (!review && result.llm_accuracy !== null) {
    const [low, high] = result.llm_accuracy_interval.map((share) => Math.round(100 * share));
    words += ` An estimated ${Math.round(100 * result.llm_accuracy)}\u202f% of the LLM's labels are right (${low} to ${high}\u202f%).`;
  }
  if (!review && result.width !== null) {
    words += ` The widest interval of a class share has ${inPoints(result.width)} points`;
    const wanted = inPoints(result.more_labels_for);
    if (result.until_width !== null && result.reached) words += `: the wanted width, ${wanted}, is reached.`;
    else words += result.more_labels ? `; about ${result.more_labels} more labels would bring it to ${wanted}.` : ".";
  }
  if (result.gold < result.target) words += " The same command goes on where you stopped.";
  $("end-text").textContent = `${words} You can close this page.`;
  if (review) [$("end-title").textContent, $("end-text").textContent] = resultOfReview(result);
  $("end-counts").hidden = false;
  for (const [name, count] of Object.entries(result.classes)) {
    const box = document.createElement("div");
    const term = document.createElement("dt");
    const value = document.createElement("dd");
    term.dir = "auto";
    term.textContent = name;
    value.textContent = String(count);
    box.append(term, value);
    $("end-counts").append(box);
  }
  $("end-next").hidden = review ? !result.changed && !result.new : result.gold < 10;
  $("end-command").textContent = result.next;
  $("live").textContent = $("end-title").textContent;
  $("end-title").focus();
}

function points(half) {
  return `${plusMinus(half)} points`;
}

function inPoints(width) {
  return (100 * width).toFixed(1).replace(/\.0$/, "");
}

function plusMinus(half) {
  const value = 100 * half;
  return `±\u202f${value < 9.95 ? value.toFixed(1) : Math.round(value)}`;
}

function duration(seconds) {
  if (seconds === null) return "–";
  return seconds < 55 ? "under 1 min" : `about ${Math.round(seconds / 60)} min`;
}

function makeButtons() {
  classes.forEach((each, number) => {
    const button = document.createElement("button");
    button.type = "button";
    if (each.key) {
      const key = document.createElement("kbd");
      key.textContent = each.key;
      key.setAttribute("aria-hidden", "true");
      button.append(key);
      button.setAttribute("aria-keyshortcuts", each.key);
    }
    const name = document.createElement("span");
    name.dir = "auto";
    name.textContent = each.name;
    button.append(name);
    button.addEventListener("click", () => choose(number));
    $("classes").append(button);
  });
  $("classes").classList.toggle("many", classes.length > 6);
}

function element(kind, content, parent) {
  const made = document.createElement(kind);
  made.dir = "auto";
  made.textContent = content;
  parent.append(made);
  return made;
}

function makeCodebook({ key, classes: entries }) {
  const panel = $("codebook");
  panel.hidden = !entries.length;
  if (panel.hidden) return;
  tools.codebook = key;
  $("codebook-key").textContent = key;
  for (const each of entries) {
    const box = document.createElement("section");
    const title = element("h2", "", box);
    if (each.key) element("kbd", each.key, title);
    element("span", each.name, title);
    for (const [name, lines] of each.entries) {
      if (lines.length === 1) {
        const line = element("p", "", box);
        element("strong", `${name}: `, line);
        element("span", lines[0], line);
      } else {
        element("p", "", box).append(element("strong", `${name}:`, box));
        const list = document.createElement("ul");
        lines.forEach((line) => element("li", line, list));
        box.append(list);
      }
    }
    $("codebook-classes").append(box);
  }
  // a cookie, since the next session has another port, and storage of the page would be another one
  const chosen = document.cookie.split("; ").find((each) => each.startsWith("silr_codebook="));
  panel.open = chosen ? chosen.endsWith("=open") : window.innerHeight > 600 && window.innerWidth > 550;
  let before = panel.open;
  panel.addEventListener("toggle", () => {
    if (panel.open === before) return; // how it began is no choice
    before = panel.open;
    const choice = panel.open ? "open" : "folded";
    document.cookie = `silr_codebook=${choice}; path=/; max-age=31536000; samesite=strict`;
  });
}

function choose(number) {
  if (busy || over || !state || state.row === null || state.done >= state.target) return;
  const button = $("classes").children[number];
  button.classList.add("chosen");
  setTimeout(() => button.classList.remove("chosen"), 160);
  act("label", { label: number });
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing || !$("keys").checked) return;
  const key = event.key.toLowerCase();
  let number = classes.findIndex((each) => each.key && each.key === event.key); // case counts where classes differ by it
  if (number < 0) number = classes.findIndex((each) => each.key && each.key.toLowerCase() === key);
  if (number >= 0) choose(number);
  else if (key === tools.undo && !$("undo").disabled) act("undo");
  else if (key === tools.skip && !$("skip").hidden) act("skip");
  else if (tools.codebook && key === tools.codebook) $("codebook").open = !$("codebook").open;
  else return;
  event.preventDefault();
}

async function begin() {
  document.addEventListener("keydown", press);
  $("undo").addEventListener("click", () => act("undo"));
  $("skip").addEventListener("click", () => act("skip"));
  $("stop").addEventListener("click", () => act("finish"));
  $("finish").addEventListener("click", () => act("finish"));
  $("more").addEventListener("click", () => act("more"));
  $("keys").addEventListener("change", () => document.body.classList.toggle("keys-off", !$("keys").checked));
  try {
    const { values } = await ask("setting");
    classes = values.classes;
    tools = values.tools;
    for (const name of ["undo", "skip"]) {
      $(`${name}-key`).textContent = tools[name];
      $(name).setAttribute("aria-keyshortcuts", tools[name]);
    }
    $("question").textContent = values.question;
    $("question").hidden = !values.question;
    state = values.state;
    $("table").textContent = values.table;
    beginReview(values.mode);
    document.title = `${$("title").textContent}: ${values.table}`;
    makeButtons();
    makeCodebook(values.codebook);
    show("");
  } catch {
    complain("silr label does not answer. Start it again and open the address that it prints.");
  }
}

begin();
