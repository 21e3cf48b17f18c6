"use strict";

/* Keys for the whole page; not while something is typed or chosen. */
function useKeys(state, set) {
  const { useEffect } = htmPreact;
  useEffect(() => {
    function pressed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
      if (event.key === "b") set({ way: state.way === "forward" ? "backward" : "forward" });
      else if (event.key === "Escape") {
        if (state.entry) set({ entry: null });
        else if (state.tensor) {
          const row = document.querySelector(`[data-tensor="${CSS.escape(state.tensor)}"]`);
          set({ tensor: null });
          if (row) row.focus();
        } else if (state.stop !== undefined) set({ stop: undefined });
      }
    }
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [state]);
}
