// Layouts to begin with, made of the names of classes alone.

const SKY = /\bsky\b/;
// From the likeliest to be ground to the least.
const GROUND = ['grass', 'ground', 'terrain', 'field', 'earth', 'land', 'sand', 'road', 'floor',
  'water', 'sea'];

const find = (classes, pattern) => classes.findIndex(({name}) => pattern.test(name.toLowerCase()));

function groundOf(classes) {
  for (const word of GROUND) {
    const id = find(classes, new RegExp(`\\b${word}\\b`));
    if (id >= 0) return id;
  }
  return -1;
}

// The class of an empty map: ground, else the first.
export function blankClass(classes) {
  return Math.max(0, groundOf(classes));
}

// Sky over ground; null where the model does not know both.
export function horizon(classes, width, height) {
  const [sky, ground] = [find(classes, SKY), groundOf(classes)];
  if (sky < 0 || ground < 0) return null;
  return new Uint8Array(width * height).fill(ground).fill(sky, 0, (height >> 1) * width);
}
