// Keeps what is painted in the browser, until the page is opened again.

const PREFIX = 'spade-tf painter: ';

// Runs of one id: pairs of it and of the length of the run.
export function packRuns(ids) {
  const runs = [];
  for (let start = 0, at = 1; at <= ids.length; ++at) {
    if (at < ids.length && ids[at] === ids[start]) continue;
    runs.push(ids[start], at - start);
    start = at;
  }
  return runs;
}

// Ids; null where the runs are not of `length` pixels of `count` classes.
export function unpackRuns(runs, length, count) {
  if (!Array.isArray(runs) || runs.length % 2) return null;
  const ids = new Uint8Array(length);
  let at = 0;
  for (let index = 0; index < runs.length; index += 2) {
    const [id, run] = [runs[index], runs[index + 1]];
    const valid = Number.isInteger(id) && Number.isInteger(run) && id >= 0 && id < count && run > 0;
    if (!valid || at + run > length) return null;
    ids.fill(id, at, at + run);
    at += run;
  }
  return at === length ? ids : null;
}

// `model`: what the engine describes. Gives null where nothing is kept for a model like it.
export function restore(model) {
  try {
    const kept = JSON.parse(localStorage.getItem(PREFIX + model.name));
    if (kept?.classes !== names(model)) return null;
    const ids = unpackRuns(kept.runs, model.width * model.height, model.classes.length);
    return ids && {...kept, ids};
  } catch {
    return null;
  }
}

// Gives whether it could be kept: browsers may forbid it, or have no room.
export function keep(model, ids, settings) {
  try {
    const content = {...settings, classes: names(model), runs: packRuns(ids)};
    localStorage.setItem(PREFIX + model.name, JSON.stringify(content));
    return true;
  } catch {
    return false;
  }
}

const names = ({classes, width, height}) =>
  [`${width}x${height}`, ...classes.map(({name}) => name)].join('\n');
