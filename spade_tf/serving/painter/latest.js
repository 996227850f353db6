// One request at a time; of those that wait, the latest.

// Quick strokes must not keep each other from being shown: after so long without a picture, the
// one that is being made is let through.
const LONGEST_MS = 1000;

export class LatestWins {
  // `run(request, signal)`: promise. `shown(result, request)`, `failed(error, request)`, and
  // `busy(whether)` are told.
  constructor(run, {shown, failed, busy = () => {}}) {
    Object.assign(this, {run, shown, failed, busy});
    this.waiting = this.running = null;
    this.lastShown = 0;
  }

  // `request.final`: the one that is being made is of no use any more, and is cancelled.
  ask(request) {
    this.waiting = request;
    const recent = performance.now() - this.lastShown < LONGEST_MS;
    if (this.running && (request.urgent || (request.final && recent))) this.running.abort();
    if (!this.running) this.#next();
  }

  cancel() {
    this.waiting = null;
    this.running?.abort();
  }

  async #next() {
    while (this.waiting) {
      const request = this.waiting;
      const controller = this.running = new AbortController();
      this.waiting = null;
      this.busy(true);
      try {
        const result = await this.run(request, controller.signal);
        if (!controller.signal.aborted) {
          await this.shown(result, request);
          this.lastShown = performance.now();
        }
      } catch (error) {
        if (error.name !== 'AbortError') this.failed(error, request);
      }
      this.running = null;
    }
    this.busy(false);
  }
}
