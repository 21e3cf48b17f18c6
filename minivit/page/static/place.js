"use strict";

/* Where the page is: its state, which its address holds, too. To go to another place is a step of the browser's history;
   what changes within a place, or while the passes are played, is none. Returns the state and a function that changes it. */
function usePlace(start, playing) {
  const { useEffect, useRef, useState } = htmPreact;
  const { read, write, place } = address();
  const [state, setState] = useState(() => ({ ...start, ...read(location.hash) }));
  const arrived = useRef(true);
  const known = useRef(location.hash);
  useEffect(() => {
    /* A little later: what is drawn changes the state with every move of the pen. */
    const later = setTimeout(() => {
      const now = write(state);
      /* An address that is neither what was read nor what was written is new: its event is on its way, and must find it. */
      if (location.hash === now || location.hash !== known.current) return;
      const step = !arrived.current && !playing && place(read(location.hash)) !== place(read(now));
      arrived.current = false;
      history[step ? "pushState" : "replaceState"](null, "", now);
      known.current = location.hash;
    }, 150);
    return () => clearTimeout(later);
  }, [state]);
  useEffect(() => {
    const moved = () => {
      arrived.current = true;
      known.current = location.hash;
      setState({ ...start, ...read(location.hash) });
    };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return [state, setState];
}
