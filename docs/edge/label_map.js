// From a label map to what a generator takes. Pure functions: they run in any JavaScript.

// `values`: what a label map file holds, row by row. `labelMap`: `label_map` of the JSON.
// Gives class ids. A value that the model knows no class for is an error, never a guess.
export function toIds(values, labelMap) {
  const {id_of_value: ids, unknown_value: unknownValue, unknown} = labelMap;
  return Int32Array.from(values, (value, pixel) => {
    const id = ids[value] ?? -1;
    if (id >= 0) return id;
    if (unknown !== null && value === unknownValue) return unknown;
    throw new RangeError(`label map: value ${value} at pixel ${pixel} is of no class`);
  });
}

// 1 where the instance of a pixel differs from that of the one above, below, left or right of it.
export function instanceEdges(instance, height, width) {
  const edges = new Uint8Array(height * width);
  for (let y = 0, pixel = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x, ++pixel) {
      if (x + 1 < width && instance[pixel] !== instance[pixel + 1]) {
        edges[pixel] = edges[pixel + 1] = 1;
      }
      if (y + 1 < height && instance[pixel] !== instance[pixel + width]) {
        edges[pixel] = edges[pixel + width] = 1;
      }
    }
  }
  return edges;
}

// `facts`: the JSON beside the model. `instance`: instance ids, row by row, or nothing for none.
// Gives, by name, the inputs that the model takes of a label map: `semantics`, or the ids.
export function labelInputs(facts, values, instance) {
  const shapes = Object.fromEntries(facts.inputs.map(({name, shape}) => [name, shape]));
  const [, height, width, channels] = shapes.semantics ?? shapes.label;
  for (const [name, map] of Object.entries({values, instance})) {
    if (map && map.length !== height * width) {
      throw new RangeError(`${name}: ${map.length} pixels, the model takes ${width}x${height}`);
    }
  }
  const ids = toIds(values, facts.label_map);
  if (!shapes.semantics) {
    // One instance all over where there are none.
    const instances = Int32Array.from(instance ?? new Int32Array(ids.length));
    return shapes.instance ? {label: ids, instance: instances} : {label: ids};
  }
  const semantics = new Float32Array(ids.length * channels);
  ids.forEach((id, pixel) => { semantics[pixel * channels + id] = 1; });
  const numIds = facts.label_map.num_ids;
  if (instance && channels > numIds) {
    instanceEdges(instance, height, width).forEach((edge, pixel) => {
      semantics[pixel * channels + numIds] = edge;
    });
  }
  return {semantics};
}
