"use strict";
// The page works without this script: all pictures are shown then, side by side. With it one pair
// is shown at a time, the result lies over the source, and the timeline answers to pointer and keys.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const clock = (seconds) => {
    const whole = Math.floor(seconds);
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const two = (value) => String(value).padStart(2, "0");
    if (span < 60) return `${minutes}:${(rest + (seconds % 1)).toFixed(1).padStart(4, "0")}`;
    return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  };
  document.documentElement.classList.add("js");
  const lanes = document.querySelector(".lanes");
  const span = Number(lanes.dataset.span); // seconds

  // --- before and after ---

  const LARGE_STEP = 5; // per cent, of an arrow key
  const shots = all(".shot");

  const split = (shot, percent) => {
    const to = Math.min(Math.max(percent, 0), 100);
    shot.style.setProperty("--split", `${to}%`);
    shot.dataset.split = to;
    for (const divider of all(".divider", shot)) {
      divider.value = to;
      divider.setAttribute("aria-valuetext", `${to} % source, ${100 - to} % result`);
    }
    for (const button of all("[data-split]", shot)) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.split) === to));
    }
  };

  const divide = (shot, pair) => {
    const name = pair.closest(".view").querySelector("figcaption").textContent;
    const label = `${name}, ${shot.dataset.when}: source to the left of the line, result to the right`;
    const divider = make("input", {
      type: "range", class: "divider", min: 0, max: 100, step: 1, "aria-label": label,
    });
    divider.addEventListener("input", () => split(shot, Number(divider.value)));
    divider.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!way || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      split(shot, Number(divider.value) + way * LARGE_STEP);
    });
    pair.append(divider, make("span", { class: "line", "aria-hidden": "true" }));
  };

  for (const shot of shots) {
    for (const pair of all(".paired .pair", shot)) divide(shot, pair);
    for (const button of all("[data-split]", shot)) {
      button.addEventListener("click", () => split(shot, Number(button.dataset.split)));
    }
    split(shot, 50);
  }

  // --- one shot at a time ---

  const strip = document.querySelector(".strip");
  let current = 0;

  const tabs = shots.map((shot, place) => {
    const picture = shot.querySelector(".mouth .after img") || shot.querySelector(".after img");
    const tab = make(
      "button",
      { type: "button", role: "tab", id: `tab-${place}`, "aria-controls": shot.id, title: shot.dataset.why },
      make("img", { src: picture.src, alt: "" }),
      make("span", {}, shot.dataset.when),
    );
    tab.setAttribute("aria-label", `${shot.dataset.when}, ${shot.dataset.why}`);
    tab.addEventListener("click", () => show(place));
    shot.setAttribute("role", "tabpanel");
    return tab;
  });

  function show(place) {
    current = place;
    shots.forEach((shot, other) => shot.classList.toggle("current", other === place));
    tabs.forEach((tab, other) => {
      tab.setAttribute("aria-selected", String(other === place));
      tab.tabIndex = other === place ? 0 : -1;
    });
    const tab = tabs[place];
    strip.scrollLeft = tab.offsetLeft - (strip.clientWidth - tab.clientWidth) / 2;
    all(".mark").forEach((mark, other) => mark.classList.toggle("current", other === place));
  }

  if (strip) {
    strip.setAttribute("role", "tablist");
    strip.setAttribute("aria-label", "Moments");
    strip.append(...tabs);
    strip.addEventListener("keydown", (event) => {
      const last = tabs.length - 1;
      const to = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      show(Math.min(Math.max(to, 0), last));
      tabs[current].focus({ preventScroll: true });
    });
    show(0);
  }

  // --- the timeline ---

  const rows = all(".lane", lanes).map((row) => {
    const output = row.querySelector(".detail");
    const curve = row.querySelector(".curve");
    return { output, said: output && output.textContent, points: curve ? read(row, curve) : null };
  });

  function read(row, curve) {
    // A path in 1000 x height back to [seconds, value]; an empty point stands for a gap.
    const { low, high, height, unit } = row.dataset;
    const range = high - low;
    const points = curve.getAttribute("d").split(/(?=[ML])/).map((text) => {
      const [x, y] = text.slice(1).split(",").map(Number);
      return { begins: text[0] === "M", at: (x / 1000) * span, value: Number(low) + (1 - y / height) * range };
    });
    const digits = Math.min(Math.max(2 - Math.floor(Math.log10(Math.max(Math.abs(low), Math.abs(high)))), 0), 4);
    const text = (value) => value.toFixed(digits).replace("-", "−");
    const shown = (value) => {
      if (unit === "r") return `r\u00a0${text(value)}`;
      return text(value) + (unit ? `\u00a0${unit}` : "");
    };
    return { points, shown };
  }

  function valueAt({ points, shown }, seconds) {
    const after = points.findIndex((point) => point.at >= seconds);
    if (after < 0 || (after === 0 && points[0].at > seconds)) return "–";
    const [one, two] = [points[Math.max(after - 1, 0)], points[after]];
    if (two.begins && two.at !== seconds) return "–";
    const share = two.at === one.at ? 1 : (seconds - one.at) / (two.at - one.at);
    return shown(one.value + share * (two.value - one.value));
  }

  const cursor = make("span", { class: "cursor" }, make("span"));
  const pointer = make("div", {
    class: "pointer", role: "slider", tabindex: 0, "aria-label": "Moment on the timeline",
    "aria-valuemin": 0, "aria-valuemax": Math.round(span),
  }, cursor);
  lanes.append(pointer);
  for (const mark of all(".mark", lanes)) mark.tabIndex = -1;
  let moment = 0;

  function nearest(seconds) {
    const far = shots.map((shot) => Math.abs(Number(shot.dataset.seconds) - seconds));
    return far.indexOf(Math.min(...far));
  }

  function point(seconds) {
    moment = Math.min(Math.max(seconds, 0), span);
    pointer.classList.add("pointing");
    cursor.style.left = `${(100 * moment) / span}%`;
    cursor.classList.toggle("late", moment > 0.9 * span);
    cursor.firstChild.textContent = clock(moment);
    const said = [cursor.firstChild.textContent];
    lanes.querySelectorAll(".lane").forEach((lane, place) => {
      const { output, points } = rows[place];
      if (!points) return;
      output.textContent = valueAt(points, moment);
      said.push(`${lane.querySelector(".name").textContent} ${output.textContent}`);
    });
    pointer.setAttribute("aria-valuenow", moment.toFixed(1));
    pointer.setAttribute("aria-valuetext", said.join(", "));
  }

  function leave() {
    pointer.classList.remove("pointing");
    for (const { output, said } of rows) if (output) output.textContent = said;
  }

  function jump() {
    if (!shots.length) return;
    show(nearest(moment));
    const shot = shots[current];
    const focused = shot.querySelector(".divider") || tabs[current];
    focused.focus({ preventScroll: true });
    document.getElementById("shots").scrollIntoView({ block: "start" });
  }

  for (const link of all("a[data-at]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      moment = Number(link.dataset.at);
      jump();
    });
  }

  const under = (event) => {
    const { left, width } = pointer.getBoundingClientRect();
    return ((event.clientX - left) / width) * span;
  };
  pointer.addEventListener("pointermove", (event) => point(under(event)));
  pointer.addEventListener("pointerleave", () => { if (document.activeElement !== pointer) leave(); });
  pointer.addEventListener("focus", () => point(moment));
  pointer.addEventListener("blur", leave);
  pointer.addEventListener("click", (event) => { point(under(event)); jump(); });
  pointer.addEventListener("keydown", (event) => {
    const step = span / 100;
    const to = {
      ArrowLeft: moment - step, ArrowDown: moment - step, ArrowRight: moment + step, ArrowUp: moment + step,
      PageDown: moment - 10 * step, PageUp: moment + 10 * step, Home: 0, End: span,
    }[event.key];
    if (event.key === "Enter" || event.key === " ") jump();
    else if (to === undefined) return;
    else point(to);
    event.preventDefault();
  });

  // On paper everything is open.
  addEventListener("beforeprint", () => { for (const one of all("details")) one.open = true; });
})();
