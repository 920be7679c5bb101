"use strict";
// <ls-compare kind="video|picture" before="URL" after="URL" before-label="Source" after-label="Result"
//   about="..." fps="25" mode="slider|side" mouth="x y width height" (shares of the frame)>:
// before and after, one over the other with a divider or side by side; both can be enlarged at the
// mouth. It needs lsInStep, and lsStyle: its style sheet. Text is put in as text, never as HTML.
(() => {
  const LARGE_STEP = 5; // per cent, of an arrow key
  const WIDER = 1.6; // than the mouth's box is what is shown of it
  const MOST_ZOOM = 8;
  const BY_HAND = { width: 0.25, height: 0.25 }; // of the frame, around the point that is clicked
  const SPEEDS = [0.1, 0.25, 0.5, 1];
  const MODES = { slider: "One over the other", side: "Side by side" };
  const make = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const button = (text, does, attributes = {}) => {
    const made = make("button", { type: "button", ...attributes }, text);
    made.addEventListener("click", does);
    return made;
  };
  const press = (made, is) => made.setAttribute("aria-pressed", String(is));
  const within = (value, low, high) => Math.min(Math.max(value, low), high);
  const clock = (seconds) => {
    const [minutes, rest] = [Math.floor(seconds / 60), Math.floor((seconds % 60) * 10) / 10];
    return `${minutes}:${rest.toFixed(1).padStart(4, "0")}`;
  };

  class Compare extends HTMLElement {
    connectedCallback() {
      if (this.shadowRoot) {
        if (this.steps) this.#load();
        return;
      }
      this.label = { before: this.#said("before-label", "Source"), after: this.#said("after-label", "Result") };
      this.frame = 1 / (Number(this.getAttribute("fps")) || 25);
      const given = this.#said("mouth", "").split(" ").map(Number);
      this.mouth = given.length === 4 && given.every(Number.isFinite) && given[2] > 0 ? given : null;
      this.#build();
      this.#load();
      this.show(this.getAttribute("mode") === "side" ? "side" : "slider");
      this.split(50);
    }

    disconnectedCallback() { if (this.steps) this.steps.close(); }

    #said(name, otherwise) { return this.getAttribute(name) || otherwise; }

    #build() {
      const moving = this.getAttribute("kind") !== "picture";
      const about = this.#said("about", moving ? "playing in step" : "one frame");
      const name = `${this.label.before} and ${this.label.after}, ${about}`;
      const sides = ["before", "after"].map((side) => this.#side(side, moving, about));
      this.stage = make("div", { class: "stage" }, ...sides, ...this.#divider(about));
      this.status = make("p", { class: "status", role: "status" });
      const all = make("div", { class: "all", role: "group", "aria-label": name }, this.#choices(), this.stage);
      if (moving) all.append(this.#player());
      all.append(this.status);
      all.addEventListener("keydown", (event) => this.#key(event));
      this.attachShadow({ mode: "open" }).append(make("style", {}, lsStyle), all);
    }

    #side(side, moving, about) {
      const label = this.label[side];
      const shown = moving
        ? make("video", { playsinline: "", preload: "auto", tabindex: -1, "aria-label": label })
        : make("img", { alt: `${label}, ${about}`, draggable: "false" });
      this[side] = shown;
      shown.addEventListener(moving ? "loadedmetadata" : "load", () => this.#measure());
      return make("div", { class: `side ${side}` }, make("div", { class: "pane" }, shown), make("span", { class: "tag" }, label));
    }

    #divider(about) {
      const { before, after } = this.label;
      const label = `${about}: ${before} to the left of the line, ${after} to the right`;
      this.divider = make("input", { type: "range", class: "divider", min: 0, max: 100, step: 1, "aria-label": label });
      this.divider.addEventListener("input", () => this.split(Number(this.divider.value)));
      this.pick = button("", (event) => this.#picked(event), { class: "pick", hidden: "", "aria-label": "Enlarge this place; Enter takes the middle" });
      return [this.divider, make("span", { class: "line", "aria-hidden": "true" }), this.pick];
    }

    #choices() {
      const group = (label, ...buttons) => make("div", { class: "group", role: "group", "aria-label": label }, ...buttons);
      this.modes = Object.entries(MODES).map(([mode, text]) => button(text, () => this.show(mode), { "data-mode": mode }));
      this.splits = [[100, this.label.before], [50, "Half and half"], [0, this.label.after]].map(
        ([to, text]) => button(text, () => this.split(to), { "data-split": to }),
      );
      this.zoomed = button("Mouth, enlarged", () => this.#zoomPressed(), { "aria-pressed": "false" });
      return make("div", { class: "bar" }, group("Arrange", ...this.modes), group("Show", ...this.splits), this.zoomed);
    }

    #player() {
      const steps = (this.steps = new lsInStep(this.after, this.before, this.frame));
      this.toggle = button("Play", () => this.#play(), { class: "play" });
      this.seek = make("input", { type: "range", class: "seek", min: 0, max: 0, step: this.frame, value: 0, "aria-label": "Moment" });
      this.seek.addEventListener("input", () => steps.seek(Number(this.seek.value) + this.frame / 2));
      this.time = make("span", { class: "time" });
      const back = button("−1", () => steps.step(-1), { "aria-label": "One frame back", title: "One frame back (,)" });
      const on = button("+1", () => steps.step(1), { "aria-label": "One frame on", title: "One frame on (.)" });
      const speed = make("select", { "aria-label": "Speed" }, ...SPEEDS.map((rate) => make("option", { value: rate }, `${rate}×`)));
      speed.value = "1";
      speed.addEventListener("change", () => steps.setRate(Number(speed.value)));
      const loop = button("Repeat", () => press(loop, (steps.loop = !steps.loop)), { "aria-pressed": "false" });
      const sound = button("Audio", () => press(sound, !(this.after.muted = !this.after.muted)), { "aria-pressed": "true", title: `Audio of: ${this.label.after}` });
      steps.addEventListener("change", () => this.#follow());
      steps.addEventListener("failed", (event) => this.#failed(event.detail));
      return make("div", { class: "bar player" }, this.toggle, back, on, this.seek, this.time, speed, loop, sound);
    }

    #load() {
      for (const side of ["before", "after"]) this[side].src = this.getAttribute(side);
    }

    #measure() {
      const size = (shown) => [shown.videoWidth || shown.naturalWidth, shown.videoHeight || shown.naturalHeight];
      const [width, height] = size(this.after)[0] ? size(this.after) : size(this.before);
      if (!width) return;
      this.stage.style.setProperty("--shape", width / height);
      this.stage.classList.toggle("upright", height > width);
    }

    #play() { this.steps.wanted ? this.steps.pause() : this.steps.play(); }

    #follow() {
      const { moment, span, wanted, waits } = this.steps;
      this.toggle.textContent = wanted ? "Pause" : "Play";
      this.seek.max = span;
      this.seek.value = moment;
      this.time.textContent = `${clock(moment)} / ${clock(span)}`;
      this.seek.setAttribute("aria-valuetext", `${clock(moment)} of ${clock(span)}`);
      this.stage.classList.toggle("waits", waits);
    }

    #failed(video) {
      const which = this.label[video === this.after ? "after" : "before"];
      this.status.textContent = `${which}: this browser could not play it. Load the page again, or download it.`;
    }

    #key(event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const on = event.target;
      const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      const frames = { ",": -1, ".": 1 }[event.key];
      const plays = event.key === " " && !["BUTTON", "SELECT"].includes(on.tagName);
      if (on === this.divider && way) this.split(Number(this.divider.value) + way * LARGE_STEP);
      else if (event.key === "Escape" && !this.pick.hidden) this.#choosePlace(false);
      else if (this.steps && frames) this.steps.step(frames);
      else if (this.steps && plays) this.#play();
      else return;
      event.preventDefault();
    }

    // mode: "slider" or "side".
    show(mode) {
      this.stage.dataset.mode = mode;
      for (const one of this.modes) press(one, one.dataset.mode === mode);
      this.splits[0].parentElement.hidden = mode === "side";
    }

    // percent: of the width, from the left, that shows what is before.
    split(percent) {
      const to = within(percent, 0, 100);
      this.stage.style.setProperty("--split", `${to}%`);
      this.divider.value = to;
      const [before, after] = [this.label.before, this.label.after].map((text) => text.toLowerCase());
      this.divider.setAttribute("aria-valuetext", `${to} % ${before}, ${100 - to} % ${after}`);
      for (const one of this.splits) press(one, Number(one.dataset.split) === to);
    }

    // box: [x, y, width, height] in shares of the frame; null: the whole frame.
    zoom(box) {
      press(this.zoomed, box !== null);
      const [x, y, width, height] = box ?? [0, 0, 1, 1];
      const times = within(1 / (WIDER * Math.max(width, height)), 1, MOST_ZOOM);
      const move = (middle) => within(0.5 - middle * times, 1 - times, 0) * 100;
      const to = box === null ? "" : `translate(${move(x + width / 2)}%, ${move(y + height / 2)}%) scale(${times})`;
      for (const shown of [this.before, this.after]) shown.style.transform = to;
    }

    #zoomPressed() {
      if (this.zoomed.getAttribute("aria-pressed") === "true") this.zoom(null);
      else if (this.mouth) this.zoom(this.mouth);
      else this.#choosePlace(this.pick.hidden);
    }

    #choosePlace(begins) {
      this.pick.hidden = !begins;
      this.status.textContent = begins ? "Click on the mouth." : "";
      (begins ? this.pick : this.zoomed).focus();
    }

    #picked(event) {
      const sides = this.stage.querySelectorAll(".pane");
      const under = [...sides].map((pane) => pane.getBoundingClientRect()).find((box) => box.left <= event.clientX && event.clientX <= box.right && box.top <= event.clientY && event.clientY <= box.bottom);
      const share = under ? [(event.clientX - under.left) / under.width, (event.clientY - under.top) / under.height] : [0.5, 0.5];
      const { width, height } = BY_HAND;
      this.#choosePlace(false);
      this.zoom([share[0] - width / 2, share[1] - height / 2, width, height]);
    }
  }
  if (!customElements.get("ls-compare")) customElements.define("ls-compare", Compare);
})();
