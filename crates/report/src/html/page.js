"use strict";
(() => {
  const all = (what, from = document) => [...from.querySelectorAll(what)];
  const body = document.body;
  const entries = all(".step > a");
  const marks = all(".stepmark");
  const details = document.querySelector(".details");
  const cursor = document.querySelector(".cursor");
  const narrow = matchMedia("(max-width: 1000px)");
  let chosen = null;

  // The band over the lanes that shows where the chosen step is.
  const point = () => {
    if (!chosen || !cursor) return;
    const [a, b, c, d] = chosen.dataset.t.split(",").map(Number);
    const [from, to] = body.classList.contains("by-step") ? [c, d] : [a, b];
    cursor.style.setProperty("--x", from / 100000);
    cursor.style.setProperty("--wide", (to - from) / 100000);
    cursor.hidden = false;
  };

  // On a narrow screen a step opens below its line, on a wide one beside the list.
  const place = () => {
    if (!chosen) return;
    const entry = entries.find((e) => e.hash === "#" + chosen.id);
    if (narrow.matches && entry) entry.after(chosen);
    else if (!narrow.matches) all(".list .detail").forEach((d) => details.append(d));
  };

  const choose = (id) => {
    const next = document.getElementById(id);
    if (!next || !next.classList.contains("detail")) return;
    all(".detail.open").forEach((d) => d.classList.remove("open"));
    all(".list .detail").forEach((d) => details.append(d));
    chosen = next;
    next.classList.add("open");
    for (const e of [...entries, ...marks]) {
      const is = e.hash === "#" + id;
      e.classList.toggle("current", is);
      if (is) e.setAttribute("aria-current", "step");
      else e.removeAttribute("aria-current");
    }
    place();
    point();
  };

  const go = (id) => {
    history.replaceState(null, "", "#" + id);
    choose(id);
    const entry = entries.find((e) => e.hash === "#" + id);
    if (entry && !entry.closest(".list").matches(":hover")) entry.scrollIntoView({ block: "nearest" });
  };

  for (const e of [...entries, ...marks]) {
    e.addEventListener("click", (event) => {
      event.preventDefault();
      go(e.hash.slice(1));
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, pre, [role=region]") || event.altKey || event.ctrlKey || event.metaKey) return;
    const by = { ArrowDown: 1, ArrowRight: 1, j: 1, ArrowUp: -1, ArrowLeft: -1, k: -1 }[event.key];
    if (!by || !event.target.closest("#steps, #timeline")) return;
    const at = entries.findIndex((e) => chosen && e.hash === "#" + chosen.id);
    const next = entries[Math.min(entries.length - 1, Math.max(0, at + by))];
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    go(next.hash.slice(1));
  });
  addEventListener("hashchange", () => choose(location.hash.slice(1)));
  narrow.addEventListener("change", place);

  const scale = (byStep) => {
    body.classList.toggle("by-step", byStep);
    document.getElementById("by-step").setAttribute("aria-pressed", byStep);
    document.getElementById("by-time").setAttribute("aria-pressed", !byStep);
    point();
  };
  document.getElementById("by-step").addEventListener("click", () => scale(true));
  document.getElementById("by-time").addEventListener("click", () => scale(false));

  const copy = document.getElementById("copy");
  copy.addEventListener("click", async () => {
    const command = document.getElementById("command");
    try {
      await navigator.clipboard.writeText(command.textContent);
      copy.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(command);
    }
  });

  // What a tile of a heat map is.
  const kinds = { u: "unchanged, not looked at", c: "compared, equal", s: "sent", z: "zeroed", r: "sent again" };
  const size = (bytes) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let n = 0;
    while (bytes >= 1024 && n < 4) (bytes /= 1024), n++;
    return `${Math.round(bytes * 10) / 10} ${units[n]}`;
  };
  for (const map of all(".map")) {
    const tiles = [...map.dataset.runs.matchAll(/([a-z])(\d+)/g)].flatMap((m) => Array(+m[2]).fill(m[1]));
    const at = map.parentElement.querySelector(".at");
    map.addEventListener("pointermove", (event) => {
      const box = map.getBoundingClientRect();
      const { width, height } = map.viewBox.baseVal;
      const x = Math.floor(((event.clientX - box.left) / box.width) * width);
      const y = Math.floor(((event.clientY - box.top) / box.height) * height);
      const index = y * width + x;
      const kind = tiles[index];
      at.textContent = kind ? `at ${size(index * map.dataset.tile)}: ${kinds[kind]}` : "";
    });
    map.addEventListener("pointerleave", () => (at.textContent = ""));
  }

  choose(location.hash.slice(1));
  if (!chosen && entries.length) {
    const wrong = document.querySelector(".step.bad > a");
    if (!narrow.matches || wrong) choose((wrong || entries[0]).hash.slice(1));
  }
})();
