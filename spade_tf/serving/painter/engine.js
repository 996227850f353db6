// What makes pictures of label maps. An engine has these methods; all of them take a `signal` that
// cancels them, and throw `EngineError`:
//
//   describe()               what the model knows: classes, size, styles (length; 0 for none),
//                            class_styles (numbers of each class at the end of a style; 0 or
//                            nothing for none), photographs and samples (whether it takes and
//                            makes them), files
//   styleOfSeed(seed)        Float32Array
//   styleOfPhotograph(file)  Float32Array
//   sample(seed)             Uint8Array, a layout of the model's size
//   render({map, style, final, drawing})
//                            Blob of a picture. `map`: ids, width, height. `style`: Float32Array,
//                            or null. `final`: whether it must be exact; else it may be close to
//                            it. `drawing`: names what is painted, if the next picture will
//                            differ from this one by a stroke

// `gone`: nobody answers. `later`: the same request may be answered in a while.
export class EngineError extends Error {
  constructor(message, {gone = false, later = false} = {}) {
    super(message);
    Object.assign(this, {gone, later});
  }
}

// Asks the server that this page comes from.
export class ServerEngine {
  constructor(base = new URL('api/', import.meta.url)) {
    this.base = base;
  }

  async describe({signal} = {}) {
    const model = await (await this.#ask('model', {signal})).json();
    this.drafts = model.drafts;
    return model;
  }

  async styleOfSeed(seed, {signal} = {}) {
    return this.#floats(await this.#ask(`style?seed=${seed}`, {signal}));
  }

  async styleOfPhotograph(file, {signal} = {}) {
    return this.#floats(await this.#ask('photograph', {method: 'POST', body: file, signal}));
  }

  async sample(seed, {signal} = {}) {
    return new Uint8Array(await (await this.#ask(`sample?seed=${seed}`, {signal})).arrayBuffer());
  }

  // While somebody draws, the server computes only what changed, if it can, and compresses more.
  async render({map, style = null, final = true, drawing = '', signal}) {
    const {ids, width, height} = map;
    const body = new Blob(style ? [ids, littleEndian(style)] : [ids]);
    const format = final ? 'png' : 'jpeg';
    const path = `picture?height=${height}&width=${width}&format=${format}`
      + (drawing && this.drafts ? `&drawing=${drawing}` : '');
    return (await this.#ask(path, {method: 'POST', body, signal})).blob();
  }

  async #ask(path, options) {
    let response;
    try {
      const headers = options.body ? {'Content-Type': 'application/octet-stream'} : {};
      response = await fetch(new URL(path, this.base), {...options, headers, cache: 'no-store'});
      if (response.ok) return response;
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new EngineError('The server does not answer. Trying again until it does.',
        {gone: true});
    }
    const said = await response.json().catch(() => ({}));
    const message = said.error ?? `the server answered ${response.status}; its log says why`;
    throw new EngineError(sentence(message), {later: response.status === 503});
  }

  async #floats(response) {
    const view = new DataView(await response.arrayBuffer());
    return Float32Array.from({length: view.byteLength / 4}, (_, i) => view.getFloat32(4 * i, true));
  }
}

function littleEndian(values) {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, index) => view.setFloat32(4 * index, value, true));
  return view.buffer;
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
}
