// What keys do, wherever the focus is, and the list of them.

import {classOfKey} from './legend.js';

const HELP = [
  ['B G L R I S', 'Brush, fill, line, rectangle, pick, swap'],
  ['1 … 9 0', 'The first ten classes; with Shift, the next ten'],
  [', .', 'The class before, and the next'],
  ['[ ]', 'A smaller and a larger brush; the wheel does the same'],
  ['Ctrl+Z', 'Undo; with Shift, or Ctrl+Y, redo'],
  ['Ctrl+S Ctrl+O', 'Save and open a map'],
  ['N H', 'A sample layout; sky over ground'],
  ['D V', 'Dice for another style; variations'],
  ['C', 'Dice for another style of the chosen class, where classes have styles'],
  ['P', 'Picture, map, blend'],
  ['Tab', 'To the map and to all buttons'],
  ['Arrow keys', 'On the map: move the cursor; with Shift, ten pixels'],
  ['Space Enter', 'On the map: draw while Space is held, or from Enter to Enter'],
  ['Escape', 'On the map: cancel what is being drawn'],
  ['Right button', 'On the map: pick the class there'],
  ['?', 'This list'],
];

// `actions`: functions by what they do. `lettersOn()`: whether keys of one letter work.
export function listenToKeys(actions, lettersOn) {
  const letters = {
    ...Object.fromEntries(Object.entries({b: 'brush', g: 'fill', l: 'line', r: 'rectangle',
      i: 'pick', s: 'swap'}).map(([key, tool]) => [key, () => actions.tool(tool)])),
    '[': () => actions.size(-1), ']': () => actions.size(1),
    ',': () => actions.step(-1), '.': () => actions.step(1),
    n: actions.sample, h: actions.horizon, d: actions.dice, c: actions.classDice,
    v: actions.vary, p: actions.view, '?': actions.help,
  };
  const withControl = {z: actions.undo, y: actions.redo, s: actions.save, o: actions.load};
  document.addEventListener('keydown', (event) => {
    if (document.querySelector('dialog[open]') || event.altKey) return;
    const key = event.key.toLowerCase();
    let action;
    if (event.ctrlKey || event.metaKey) {
      action = key === 'z' && event.shiftKey ? actions.redo : withControl[key];
    } else if (lettersOn() && !isText(event.target)) {
      const id = classOfKey(event);
      action = id >= 0 ? () => actions.choose(id) : letters[key];
    }
    if (!action) return;
    event.preventDefault();
    action();
  });
}

export function listKeys(list) {
  for (const [keys, text] of HELP) {
    const term = document.createElement('dt');
    for (const key of keys.includes(' ') && /[A-Z]\w+ [a-z]/.test(keys) ? [keys] : keys.split(' ')) {
      term.append(Object.assign(document.createElement('kbd'), {textContent: key}), ' ');
    }
    list.append(term, Object.assign(document.createElement('dd'), {textContent: text}));
  }
}

function isText({tagName, type}) {
  return tagName === 'TEXTAREA' || (tagName === 'INPUT' && ['text', 'search', 'number'].includes(type));
}
