"""The page of a study. It needs no server: it opens from a folder, and answers are downloaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from experiments.setup.output import write_text

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Which picture do you prefer?</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: auto; padding: 1rem; }
.hidden { display: none; }
.trial { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1rem; }
figure { margin: 0; text-align: center; }
img { width: 100%; border-radius: 6px; }
#layout { padding: calc(.4rem + 3px); box-sizing: border-box; image-rendering: pixelated; }
button { font: inherit; padding: .5rem 1.2rem; border-radius: 6px; }
.choice { display: block; width: 100%; padding: .4rem; border: 3px solid transparent;
  background: none; color: inherit; cursor: pointer; }
.choice:hover, .choice:focus-visible { border-color: #1f6feb; }
.choice:disabled { opacity: .5; cursor: wait; }
progress { width: 100%; }
textarea { width: 100%; height: 10rem; }
</style>
<main>
<section id="start">
<h1>Which picture do you prefer?</h1>
<p>You will see a layout, in which each colour stands for a kind of thing, and two pictures of it.
Choose the picture that looks more like a photograph of this layout. Press on it, or use the keys
← and →. There are <span id="count"></span> choices; some have a clear answer, to see that you
look. If you close the page, it goes on where you were.</p>
<button id="begin">Begin</button>
</section>
<section id="task" class="hidden">
<progress id="progress"></progress>
<div class="trial">
<figure><img id="layout" alt="layout"><figcaption>Layout</figcaption></figure>
<figure><button class="choice" id="left"><img alt="left picture"></button>
<figcaption>←</figcaption></figure>
<figure><button class="choice" id="right"><img alt="right picture"></button>
<figcaption>→</figcaption></figure>
</div>
</section>
<section id="end" class="hidden">
<h1>Thank you</h1>
<p>Your answers are in this file: please send it to whoever asked you.</p>
<p><a id="download">Download the answers</a></p>
<p>Or copy them:</p>
<textarea id="answers" readonly></textarea>
</section>
</main>
<script>
const study = __STUDY__, trials = __TRIALS__;
const element = (id) => document.getElementById(id);
const show = (id) => ["start", "task", "end"].forEach(
  (name) => element(name).classList.toggle("hidden", name !== id));

// Unbiased: a number below `count` from as many random bits as are needed.
function below(count) {
  const limit = Math.floor(2 ** 32 / count) * count, drawn = new Uint32Array(1);
  do crypto.getRandomValues(drawn); while (drawn[0] >= limit);
  return drawn[0] % count;
}

function begin() {
  const order = trials.map((trial) => ({trial, left: 1 + below(2)}));
  for (let i = order.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  const letters = Array.from(crypto.getRandomValues(new Uint8Array(6)),
    (byte) => byte.toString(16).padStart(2, "0"));
  return {participant: letters.join(""), order, answers: []};
}

// Some browsers keep nothing for pages that are opened from a folder.
function load() {
  try { return JSON.parse(localStorage.getItem(`study-${study}`)); } catch { return null; }
}
function save() {
  try { localStorage.setItem(`study-${study}`, JSON.stringify(state)); } catch { /* Goes on. */ }
}

let state = load() || begin(), shown = 0;
element("count").textContent = trials.length;
element("begin").onclick = next;
if (state.answers.length) next();

async function next() {
  save();
  const done = state.answers.length;
  if (done === state.order.length) return finish();
  show("task");
  element("progress").max = state.order.length;
  element("progress").value = done;
  const {trial, left} = state.order[done];
  const images = [element("layout"), ...document.querySelectorAll(".choice img")];
  const names = ["layout", left, 3 - left];
  ["left", "right"].forEach((side) => { element(side).disabled = true; });
  await Promise.all(images.map((image, index) => {
    image.src = `pictures/${trial}_${names[index]}.png`;
    return image.decode().catch(() => {});
  }));
  ["left", "right"].forEach((side) => { element(side).disabled = false; });
  shown = performance.now();
}

function choose(side) {
  if (element("task").classList.contains("hidden") || element(side).disabled) return;
  const {trial, left} = state.order[state.answers.length];
  const chosen = side === "left" ? left : 3 - left;
  const milliseconds = Math.round(performance.now() - shown);
  state.answers.push({trial, left, right: 3 - left, chosen, milliseconds});
  next();
}

function finish() {
  const columns = ["trial", "left", "right", "chosen", "milliseconds"];
  const lines = [["study", "participant", ...columns].join(",")];
  for (const answer of state.answers)
    lines.push([study, state.participant, ...columns.map((name) => answer[name])].join(","));
  const text = lines.join("\\n") + "\\n";
  element("answers").value = text;
  element("download").href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  element("download").download = `answers-${study}-${state.participant}.csv`;
  show("end");
}

element("left").onclick = () => choose("left");
element("right").onclick = () => choose("right");
document.addEventListener("keydown", (event) => {
  if (event.repeat) return;
  if (event.key === "ArrowLeft") choose("left");
  if (event.key === "ArrowRight") choose("right");
});
</script>
</html>
"""


def write_page(path: Path, study: str, trials: Sequence[str]) -> None:
    """Writes the page, beside the folder `pictures`.

    Everyone gets the trials in an order of their own, and the two pictures of each on sides that
    are drawn anew. Answers are kept by the browser until the end, and are then a CSV file.

    Args:
        path: of the file.
        study: name of the study, in every answer.
        trials: names of the trials, which begin the names of their pictures.
    """
    text = _PAGE.replace("__STUDY__", json.dumps(study))
    write_text(path, text.replace("__TRIALS__", json.dumps(list(trials))))
