"use strict";

/* Where the numbers come from: the server that served this page, or the data in this file. Both give the same
   answers. At most one run is under way; a newer one replaces what waits, and an answer that is late is dropped. */
function makeSource() {
  const embedded = document.getElementById("data");
  return embedded ? stored(JSON.parse(embedded.textContent)) : served();

  function served() {
    let number = 0, busy = false, waiting = null;
    const tensors = new Map();

    async function ask(what, body) {
      const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
      const response = await fetch(`api/${what}`, options || {});
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.error || response.statusText);
      return answer;
    }

    async function run(request, done, failed) {
      waiting = { request: { ...request, number: ++number }, done, failed };
      if (busy) return;
      busy = true;
      while (waiting) {
        const { request: now, done: then, failed: otherwise } = waiting;
        waiting = null;
        try {
          const answer = await ask("run", now);
          if (answer.number === number) then(answer);
        } catch (error) {
          if (now.number === number) otherwise(error);
        }
      }
      busy = false;
    }

    /* The named tensors of a run, fetched once; the newest few runs are remembered. */
    async function load(request, names) {
      const key = JSON.stringify(request);
      if (!tensors.has(key)) {
        tensors.set(key, new Map());
        if (tensors.size > 4) tensors.delete(tensors.keys().next().value);
      }
      const known = tensors.get(key);
      const missing = names.filter((name) => !known.has(name));
      if (missing.length) {
        const answer = await ask("tensors", { ...request, names: missing });
        for (const [name, tensor] of Object.entries(answer)) known.set(name, unpack(tensor));
      }
      return Object.fromEntries(names.map((name) => [name, known.get(name)]));
    }

    return {
      live: true,
      meta: () => ask("meta"),
      run,
      load,
      slope: (request, name, entry) => ask("slope", { ...request, name, entry }),
      check: (request) => ask("check", request),
      draw: (bug) => ask("surprise", { after: bug || "" }),
      point: (bug, file, line) => ask("point", { bug, file, line }),
      reveal: (bug) => ask("reveal", { bug }),
      sources: (model, bug) => ask("sources", { model, bug }),
      watch: () => ask("watch"),
      picture: async (model, grey) => (await ask("picture", { model, grey })).pixels,
    };
  }

  function stored(data) {
    const tensors = new Map();
    const runOf = (request) => data.runs[request.model][`${request.digit}`];
    return {
      live: false,
      meta: async () => data.meta,
      run: (request, done, failed) => {
        const found = runOf(request);
        if (found) done(found.answer);
        else failed(new Error(words().onlyServer));
      },
      load: async (request, names) => {
        const key = `${request.model} ${request.digit}`;
        if (!tensors.has(key)) tensors.set(key, new Map());
        const known = tensors.get(key);
        for (const name of names)
          if (!known.has(name))
            known.set(name, unpack({ ...data.parameters[request.model][name], ...runOf(request).tensors[name] }));
        return Object.fromEntries(names.map((name) => [name, known.get(name)]));
      },
      slope: async (request, name, entry) =>
        runOf(request).slopes[name].find((found) => found.entry.join() === entry.join()) || null,
      storedSlopes: (request, name) => runOf(request).slopes[name],
      sources: async () => null,
      has: (model, digit) => `${digit}` in data.runs[model],
    };
  }

  function unpack(tensor) {
    const { decode } = numbers();
    const extras = Object.fromEntries(Object.entries(tensor.extras || {}).map(([name, packed]) => [name, decode(packed)]));
    return { value: decode(tensor.value), grad: tensor.grad && decode(tensor.grad), extras };
  }
}
