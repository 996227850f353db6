import {loadLiteRt, loadAndCompile, Tensor} from '@litertjs/core';
import {labelInputs} from './label_map.js';

// `url`: of the .tflite, with its JSON beside it; any but generator_int8, which takes int8.
// `wasm`: where the web server has node_modules/@litertjs/core/wasm/.
// `accelerator`: 'webgpu', or 'wasm' for the processor, which generator_ids needs.
export async function loadGenerator(url, wasm, accelerator = 'webgpu') {
  await loadLiteRt(wasm);
  const facts = await (await fetch(url.replace(/tflite$/, 'json'))).json();
  const model = await loadAndCompile(url, {accelerator});
  return {model, facts};
}

// `values`: what the label map file holds, row by row. `instance`: instance ids, row by row, or
// null for none. `z`: a style, where the model takes one.
// Gives red, green and blue in [-1, 1], row by row.
export async function generate({model, facts}, values, instance, z) {
  const arrays = labelInputs(facts, values, instance);
  if (z) arrays.z = z;
  const inputs = {};
  for (const {name, shape} of facts.inputs) inputs[name] = new Tensor(arrays[name], shape);
  const {image} = await model.run(inputs);
  const picture = await image.data();
  for (const tensor of [...Object.values(inputs), image]) tensor.delete();
  return picture;
}
