"use strict";
(() => {
  const find = (selector) => document.querySelector(selector);
  const root = document.documentElement;

  // Times of this machine instead of UTC.
  for (const time of document.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.title = time.dateTime;
      time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    }
  }

  // The theme: that of the system until the button says otherwise.
  const theme = find("#theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remembered = (value) => {
    // A page that is opened as a file may have no storage.
    try {
      if (value) localStorage.setItem("rondel-theme", value);
      return localStorage.getItem("rondel-theme");
    } catch {
      return null;
    }
  };
  const is_dark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const show_theme = () => {
    theme.textContent = is_dark() ? "Light" : "Dark";
    theme.title = `Show the page in ${is_dark() ? "light" : "dark"} colours`;
  };
  const chosen = remembered();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = is_dark() ? "light" : "dark";
    remembered(root.dataset.theme);
    show_theme();
  });
  dark.addEventListener("change", show_theme);
  show_theme();

  // The list of steps.
  const list = find("#list");
  const rows = [...list.children].filter((row) => row.matches("details"));
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const search = find("#search");
  const internal = find("#internal");
  const chips = [...document.querySelectorAll(".chips button")];
  const found = find("#found");
  let state = "";
  const is_of_state = (row) =>
    state === "" || row.dataset.state === state || (state === "known" && row.dataset.state === "restored");
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = !internal || internal.checked;
    let count = 0;
    const counts = { "": 0, ran: 0, failed: 0, known: 0, skipped: 0 };
    rows.forEach((row, index) => {
      const matches =
        (all || !("internal" in row.dataset)) && words.every((word) => texts[index].includes(word));
      if (matches) {
        counts[""] += 1;
        counts[row.dataset.state === "restored" ? "known" : row.dataset.state] += 1;
      }
      const shown = matches && is_of_state(row);
      if (row.hidden === shown) row.hidden = !shown;
      if (shown) count += 1;
    });
    for (const chip of chips) chip.querySelector("b").textContent = counts[chip.dataset.state];
    found.textContent = `${count} of ${rows.length} steps`;
  };
  search.addEventListener("input", filter);
  internal?.addEventListener("change", filter);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      state = chip.dataset.state;
      for (const other of chips) other.setAttribute("aria-pressed", String(other === chip));
      filter();
    });
  }
  const orders = {
    start: (one, other) => one.dataset.start - other.dataset.start || one.id.slice(2) - other.id.slice(2),
    duration: (one, other) => other.dataset.duration - one.dataset.duration,
    title: (one, other) => title(one).localeCompare(title(other)),
  };
  const title = (row) => row.querySelector(".title").textContent;
  const sort = find("#sort");
  const order = () => list.append(...[...rows].sort(orders[sort.value]));
  sort.addEventListener("change", order);
  find("#tools").hidden = false;
  order();
  filter();

  // A link to a step opens it, also if it is filtered away.
  const open = (row) => {
    row.hidden = false;
    row.open = true;
    row.querySelector("summary").focus({ preventScroll: true });
    row.scrollIntoView({ block: "center" });
  };
  const follow = () => {
    const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (row?.matches("details.step")) open(row);
  };
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link && link.getAttribute("href") === location.hash) follow();
  });
  follow();

  // `/` goes to the search, Enter to its first step, Escape out of it.
  document.addEventListener("keydown", (event) => {
    const is_text = event.target.matches("input, select, textarea");
    if (event.key === "/" && !is_text && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      search.value = "";
      filter();
      search.blur();
    } else if (event.key === "Enter") {
      const first = [...list.children].find((row) => !row.hidden);
      // The key is not for the step that has the focus then.
      event.preventDefault();
      if (first) open(first);
    }
  });
})();
