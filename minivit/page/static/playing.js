"use strict";

/* Playing the passes tensor by tensor, forward or backward, or one step of them. */
function usePlaying(order, now, open) {
  const { useEffect, useState } = htmPreact;
  const [playing, setPlaying] = useState(null);
  useEffect(() => {
    if (!playing || playing.still) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const clock = setTimeout(() => step(playing.way, false), calm ? 1200 : 450);
    return () => clearTimeout(clock);
  }, [playing]);

  function step(way, still) {
    const at = order.indexOf(playing && !playing.still ? playing.name : now);
    const next = at < 0 ? (way === "forward" ? 0 : order.length - 1) : at + (way === "forward" ? 1 : -1);
    if (next < 0 || next >= order.length) return setPlaying(null);
    setPlaying({ name: order[next], way, still });
    open(order[next], way, still);
    requestAnimationFrame(() => {
      const row = document.querySelector(`[data-tensor="${CSS.escape(order[next])}"]`);
      if (row && row.scrollIntoView) row.scrollIntoView({ block: "nearest" });
    });
  }
  const runs = playing && !playing.still;
  return { name: playing && playing.name, runs, way: runs ? playing.way : null, step, toggle: (way) => (runs ? setPlaying(null) : step(way, false)) };
}
