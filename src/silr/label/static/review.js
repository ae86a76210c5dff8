// Texts whose gold label is in doubt: who says what beside each other, and the words of these two kinds of pages.
// Whatever comes from the table is set as text, never as markup.
"use strict";

const REVIEWS = {
  adjudicate: { title: "Disputed texts", none: "No text is disputed" },
  again: { title: "Look at these again", none: "No gold label is in doubt" },
};
let review = null; // one of REVIEWS, on such a page

function beginReview(mode) {
  review = REVIEWS[mode] || null;
  if (!review) return;
  document.body.classList.add("review");
  document.getElementById("title").textContent = review.title;
  document.getElementById("done-word").textContent = "Decided";
  document.getElementById("bar").setAttribute("aria-label", "Decided texts");
}

// One box for each class that anybody named, with all who did; the button of the present label is marked.
function showSaid(state) {
  const place = document.getElementById("said");
  place.hidden = !review;
  if (!review) return;
  place.replaceChildren();
  for (const { name, who } of state.said) {
    const box = document.createElement("section");
    const title = document.createElement("h2");
    title.dir = "auto";
    title.textContent = name;
    const list = document.createElement("ul");
    for (const person of who) {
      const line = document.createElement("li");
      line.dir = "auto";
      line.textContent = person;
      list.append(line);
    }
    box.append(title, list);
    place.append(box);
  }
  [...document.getElementById("classes").children].forEach((button, number) => {
    const present = number === state.present;
    button.classList.toggle("present", present);
    if (present) button.setAttribute("aria-description", "gold label now");
    else button.removeAttribute("aria-description");
  });
  const columns = place.scrollHeight > place.clientHeight;
  if (columns) place.tabIndex = 0; // it scrolls: by the keyboard too
  else place.removeAttribute("tabindex");
}

function endOfReview(state) {
  if (!state.target) return [review.none, "There is nothing to decide."];
  if (state.done >= state.target) return [`${state.done} ${state.done === 1 ? "text is" : "texts are"} decided`, "All decisions are saved."];
  return ["No text is left", `${state.done} decided; ${state.skipped} skipped, which the same command shows again.`];
}

function resultOfReview(result) {
  const left = result.left ? ` ${result.left} left: the same command shows them.` : "";
  const column = result.mode === "adjudicate" ? "adjudicated and gold" : "gold";
  const changes = result.changed ? ` ${result.changed} gold ${result.changed === 1 ? "label" : "labels"} changed.` : "";
  return [
    `Saved: ${result.decided} ${result.decided === 1 ? "decision" : "decisions"}`,
    `${result.name} has ${result.decided === 1 ? "it" : "them"} in ${column}.${changes}${left} You can close this page.`,
  ];
}
