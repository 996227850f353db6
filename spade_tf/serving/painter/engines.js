// Which engine the page runs on. The page says it: an export for the web names the browser's.

import {ServerEngine} from './engine.js';

// `say(text, kind)`: what the page shows as its status. `runsOn(text)`: where pictures are made.
export async function makeEngine({say, runsOn}) {
  const named = document.querySelector('meta[name=painter-engine]')?.content;
  if (named === 'browser') {
    const {BrowserEngine} = await import('./browser/engine.js');
    return new BrowserEngine({say, runsOn});
  }
  runsOn('by the server of this page');
  return new ServerEngine();
}
