// Runs the model beside the page, so that painting goes on meanwhile. A classic worker: LiteRT.js
// loads its WebAssembly by `importScripts`, which modules do not have.
//
// Messages are {kind, ...}, one at a time; each is answered by {...} or {error}. While files load,
// {progress} is told.

'use strict';

// How far the picture of a graphics processor may be from that of the export, on the average of an
// area: half precision stays far below, and what is silently wrong does not.
const MOST_DIFFERENCE = 0.05;
const COPY = 'Copy the whole folder that the export has written.';

let litert, parts, facts, wanted;
let generator = null, encoder = null, threads = false;

const actions = {
  async load({model, runOn}) {
    [facts, wanted] = [model, runOn];
    const modules = ['../../litert/index.js', './tensors.js', '../png.js', './photographs.js'];
    const loading = Promise.all(modules.map((name) => import(name)));
    const [content, [api, ...others]] = await Promise.all([
      download(facts.generator, (progress) => postMessage({progress})), loading]);
    [litert, parts] = [api, Object.assign({}, ...others)];
    await startLiteRt();
    generator = await compiled(content);
    return {runsOn: generator.runsOn, threads};
  },

  async picture({ids, style}) {
    let picture;
    try {
      picture = await generated(ids, style);
    } catch (error) {
      if (generator.runsOn === 'wasm') throw error;
      // A graphics processor may be taken away at any time.
      generator = await compiledFor('wasm', generator.content);
      picture = await generated(ids, style);
    }
    const {width, height} = facts;
    const file = await parts.encodePng(parts.bytesOf(picture), width, height, 3);
    return {file, runsOn: generator.runsOn, threads};
  },

  async style({bitmap}) {
    const image = parts.photographInput(bitmap, facts, facts.photographs);
    bitmap.close();
    if (!image) {
      return {refused: `The photograph is smaller than ${facts.width} × ${facts.height} pixels, and `
        + 'this model takes a part of that size. Give a larger one.'};
    }
    encoder ??= await compiledFor('wasm', await download(facts.encoder));
    return {style: await run(encoder, {image})};
  },
};

async function startLiteRt() {
  const folder = new URL('../../litert/', self.location.href).href;
  // Workers look for other files beside their own script.
  const places = {locateFile: (name) => folder + name};
  if (self.crossOriginIsolated) {
    try {
      const mainScriptUrlOrBlob = `${folder}litert_wasm_threaded_internal.js`;
      self.Module = {...places, mainScriptUrlOrBlob};
      await litert.loadLiteRt(folder, {threads: true});
      threads = true;
      return;
    } catch (error) {
      console.warn('Threads are not used:', error);
    }
  }
  self.Module = places;
  await litert.loadLiteRt(folder);
}

async function compiled(content) {
  if (await hasGraphics()) {
    try {
      const model = await compiledFor('webgpu', content);
      generator = model;
      if (await isRight()) return model;
      model.compiled.delete();
    } catch (error) {
      console.warn('WebGPU is not used:', error);
    }
  }
  return compiledFor('wasm', content);
}

// What is drawn by the processor under the name of WebGPU is slower than WebAssembly.
async function hasGraphics() {
  if (wanted === 'wasm' || !navigator.gpu) return false;
  try {
    const adapter = await navigator.gpu.requestAdapter({powerPreference: 'high-performance'});
    const software = adapter?.info?.isFallbackAdapter ?? adapter?.isFallbackAdapter;
    return Boolean(adapter) && (!software || wanted === 'webgpu');
  } catch {
    return false;
  }
}

async function compiledFor(accelerator, content) {
  const model = await litert.loadAndCompile(content, {accelerator});
  if (accelerator === 'webgpu' && !(model.isFullyAccelerated
      && model.options.accelerator === 'webgpu')) {
    model.delete();
    throw new Error('not all operations of this model run there');
  }
  return {compiled: model, content, runsOn: accelerator};
}

// Whether the picture of bands is the one that the export made of them.
async function isRight() {
  const style = facts.styles ? new Float32Array(facts.styles) : null;
  const picture = await generated(parts.bands(facts), style);
  const means = parts.cellMeans(picture, facts, Math.sqrt(facts.check.length));
  return means.every((mean, i) => Math.abs(mean - facts.check[i]) < MOST_DIFFERENCE);
}

function generated(ids, style) {
  const inputs = {semantics: parts.semanticsOf(ids, facts)};
  if (style) inputs.z = style;
  return run(generator, inputs);
}

async function run({compiled: model}, arrays) {
  const inputs = {};
  let outputs = {};
  try {
    for (const {name, shape} of model.getInputDetails()) {
      inputs[name] = new litert.Tensor(arrays[name], Array.from(shape));
    }
    outputs = await model.run(inputs);
    return await Object.values(outputs)[0].data();
  } finally {
    for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.delete();
  }
}

// What is wrong with a file, as a sentence.
class FileError extends Error {}

async function download({file, bytes}, progress = () => {}) {
  let response;
  try {
    // What is kept of an earlier export is not taken.
    const place = new URL(`../../model/${file}`, self.location.href);
    response = await fetch(place, {cache: 'no-cache'});
  } catch {
    throw new FileError(`The web server of this page does not answer, and model/${file} is needed. `
      + 'Start it, and try again.');
  }
  if (!response.ok) throw new FileError(`model/${file} is not there (${response.status}). ${COPY}`);
  const content = new Uint8Array(bytes);
  let at = 0;
  for (const reader = response.body.getReader(); ;) {
    const {done, value} = await reader.read();
    if (done) break;
    if (at + value.length <= bytes) content.set(value, at);
    at += value.length;
    progress(Math.min(1, at / bytes));
  }
  if (at !== bytes) {
    throw new FileError(`model/${file} has ${at} bytes in place of ${bytes}. ${COPY}`);
  }
  return content;
}

self.addEventListener('message', async ({data: {kind, ...given}}) => {
  try {
    postMessage(await actions[kind](given));
  } catch (error) {
    postMessage({error: String(error?.message ?? error), ofFile: error instanceof FileError});
  }
});
