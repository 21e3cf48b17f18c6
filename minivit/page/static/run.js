"use strict";

/* The run that is asked for: its answer, what the prediction was before, the finite differences of all tensors where a
   bug is planted, and the tensors that are needed. */
function useRun({ source, request, bug, needed, onError }) {
  const { useEffect, useRef, useState } = htmPreact;
  const { decode } = numbers();
  const key = JSON.stringify(request);
  const [answer, setAnswer] = useState(null);
  const [checking, setChecking] = useState(false);
  const [tensors, setTensors] = useState({ of: null });
  const before = useRef(null), started = useRef(0);

  useEffect(() => {
    started.current = performance.now();
    source.run(request, (found) => {
      const packed = ["picture", "probabilities", "attention", "rollout", "lens", "pixels"];
      const next = { wrong: [], reasons: [], ...found, ...Object.fromEntries(packed.map((name) => [name, decode(found[name])])), key };
      next.made = found.made ? { ...found.made, boxed: decode(found.made.boxed) } : null;
      setAnswer((old) => {
        if (old && old.prediction !== next.prediction) before.current = old.prediction;
        return next;
      });
      onError(null);
    }, (problem) => onError(problem.message || words().failed));
  }, [key]);
  const newest = answer && answer.key;
  /* For whoever measures: how long it took from the change to what is on the screen. */
  useEffect(() => {
    if (!answer) return;
    performance.clearMeasures("minivit run");
    performance.measure("minivit run", { start: started.current, end: performance.now() });
  }, [newest]);
  /* With a bug: which gradients are wrong; it takes as many forward passes as there are tensors, so it is asked for
     only when the picture is at rest. */
  useEffect(() => {
    if (!answer || !bug || !source.live) return;
    let current = true;
    setChecking(true);
    const later = setTimeout(() => source.check(JSON.parse(newest))
      .then((found) => current && setAnswer((old) => (old.key === newest ? { ...old, ...found } : old)))
      .catch((problem) => onError(problem.message)).then(() => current && setChecking(false)), 150);
    return () => ((current = false), clearTimeout(later), setChecking(false));
  }, [newest]);
  useEffect(() => {
    if (!answer || !needed.length) return;
    let current = true;
    source.load(JSON.parse(newest), needed)
      .then((found) => current && setTensors({ of: newest, ...found }))
      .catch((problem) => onError(problem.message));
    return () => (current = false);
  }, [needed.join(), newest]);
  return { answer, checking, tensors, before: before.current };
}
