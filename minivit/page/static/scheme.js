"use strict";

/* "light" or "dark", as the system says; what is painted on a canvas is painted anew when it changes. */
function useScheme() {
  const { useEffect, useState } = htmPreact;
  const query = (useScheme.query = useScheme.query || matchMedia("(prefers-color-scheme: dark)"));
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const changed = (event) => setDark(event.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return dark ? "dark" : "light";
}
