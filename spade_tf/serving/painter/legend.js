// The classes: names, colours and keys, one of them chosen.

// With more classes than this, they can be searched.
const MANY = 20;

// The key of a class: 1 to 9 and 0, then these with Shift.
export function keyOf(id) {
  if (id >= 20) return '';
  return (id >= 10 ? '⇧' : '') + String((id + 1) % 10);
}

// The class of a key, or -1.
export function classOfKey({code, shiftKey}) {
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(code)?.[1];
  if (digit === undefined) return -1;
  return (Number(digit) + 9) % 10 + (shiftKey ? 10 : 0);
}

function scroll(list, side, before, beyond) {
  if (before < 0) list[side] += before;
  else if (beyond > 0) list[side] += beyond;
}

export class Legend {
  // `chosen(id)` is told.
  constructor({list, find, classes, chosen}) {
    Object.assign(this, {list, classes, chosen, id: 0});
    this.inputs = classes.map(({name, color}, id) => {
      const label = document.createElement('label');
      const input = Object.assign(document.createElement('input'),
        {type: 'radio', name: 'class', value: id});
      const swatch = Object.assign(document.createElement('i'), {ariaHidden: 'true'});
      swatch.style.background = `rgb(${color.join(' ')})`;
      const text = Object.assign(document.createElement('span'), {textContent: name});
      label.title = name;
      label.append(input, swatch, text);
      const key = keyOf(id);
      if (key) {
        label.append(Object.assign(document.createElement('kbd'),
          {textContent: key, ariaHidden: 'true'}));
      }
      input.addEventListener('change', () => this.choose(id));
      list.append(label);
      return input;
    });
    find.hidden = classes.length <= MANY;
    find.addEventListener('input', () => {
      const wanted = find.value.trim().toLowerCase();
      classes.forEach(({name}, id) => {
        this.inputs[id].parentElement.hidden = !name.toLowerCase().includes(wanted);
      });
    });
  }

  choose(id) {
    if (id < 0 || id >= this.classes.length) return;
    this.id = id;
    this.inputs[id].checked = true;
    this.#reveal(this.inputs[id].parentElement);
    this.chosen(id);
  }

  // Scrolls the list, and never the page.
  #reveal(label) {
    const [list, item] = [this.list, label].map((each) => each.getBoundingClientRect());
    scroll(this.list, 'scrollTop', item.top - list.top, item.bottom - list.bottom);
    scroll(this.list, 'scrollLeft', item.left - list.left, item.right - list.right);
  }

  // The next class, or the one before (`by` -1).
  step(by) {
    const count = this.classes.length;
    this.choose((this.id + by + count) % count);
  }
}
