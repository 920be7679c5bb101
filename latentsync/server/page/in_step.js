"use strict";
// Two videos that play in step: the lead, whose audio is heard, and another one that follows it.
const lsInStep = (() => {
  const FAR = 0.3; // seconds apart, from which the other one jumps
  const PULL = 4; // share of its speed by which it is changed, for each second that it is apart
  const MOST = 0.5;
  const TRIES = 3;
  const PAUSE = 1000; // milliseconds before the second try, twice as many before the third
  const ENOUGH = HTMLMediaElement.HAVE_FUTURE_DATA;

  const isOver = (video, frame) => video.ended || video.currentTime >= video.duration - frame;

  class InStep extends EventTarget {
    // lead, other: <video> with a source. frame: seconds of one frame. Event "change": its state is
    // another; "failed", with detail: a video that cannot be played.
    wanted = false;
    waits = false;
    loop = false;
    rate = 1;
    patience = 6000; // milliseconds without data, after which a video is loaded again
    #next = null; // a second to seek as soon as the latest seek is done
    #starved = new Map(); // video -> since when [milliseconds]
    #tries = new Map();
    #lost = new Set(); // videos that cannot be played
    #beat = 0;

    constructor(lead, other, frame) {
      super();
      Object.assign(this, { lead, other, frame });
      other.muted = true;
      lead.addEventListener("ended", () => this.#ended());
      lead.addEventListener("seeked", () => this.#seeked());
      for (const video of [lead, other]) {
        video.addEventListener("error", () => this.#failed(video));
        video.addEventListener("playing", () => this.#tries.delete(video));
        for (const name of ["loadedmetadata", "seeked", "timeupdate"]) {
          video.addEventListener(name, () => this.#changed());
        }
      }
    }

    get span() { return this.lead.duration || 0; }
    get moment() { return this.#next ?? this.lead.currentTime; }

    // How far the other one is ahead, seconds; null: it has ended, or fails.
    get drift() {
      const { lead, other, frame } = this;
      const follows = !this.#lost.has(other) && !isOver(other, frame) && lead.currentTime < other.duration;
      return follows ? other.currentTime - lead.currentTime : null;
    }

    play() {
      if (isOver(this.lead, this.frame)) this.seek(0);
      this.wanted = true;
      for (const video of [this.lead, this.other]) video.preload = "auto";
      cancelAnimationFrame(this.#beat);
      this.#tick();
      this.#changed();
    }

    pause() {
      this.wanted = this.waits = false;
      cancelAnimationFrame(this.#beat);
      this.#starved.clear();
      for (const video of [this.lead, this.other]) video.pause();
      if (Math.abs(this.drift) > this.frame / 4) this.#place(this.other, this.lead.currentTime);
      this.#changed();
    }

    seek(second) {
      const to = Math.min(Math.max(second, 0), this.span);
      if (this.lead.seeking) this.#next = to;
      else for (const video of [this.lead, this.other]) this.#place(video, to);
      this.#changed();
    }

    // By so many frames; the middle of a frame is sought, so that both show the same one.
    step(frames) {
      this.pause();
      const now = Math.floor(this.moment / this.frame + 1e-3);
      const last = Math.max(Math.ceil(this.span / this.frame - 1e-3) - 1, 0);
      this.seek((Math.min(Math.max(now + frames, 0), last) + 0.5) * this.frame);
    }

    setRate(rate) {
      this.rate = this.lead.playbackRate = this.other.playbackRate = rate;
      this.#changed();
    }

    close() {
      this.pause();
      for (const video of [this.lead, this.other]) {
        video.removeAttribute("src");
        video.load(); // ends the download
      }
    }

    #place(video, second) {
      const end = Number.isFinite(video.duration) ? video.duration - this.frame / 2 : second;
      video.currentTime = Math.max(Math.min(second, end), 0);
    }

    #seeked() {
      if (this.#next === null) return;
      const to = this.#next;
      this.#next = null;
      this.seek(to);
    }

    #ended() {
      if (this.loop && this.wanted) this.seek(0);
      else this.pause();
    }

    #tick() {
      const both = [this.lead, this.other].filter((video) => !this.#lost.has(video));
      const isReady = (video) => video.readyState >= ENOUGH || isOver(video, this.frame);
      const waits = !both.every(isReady);
      for (const video of both) this.#run(video, waits && isReady(video));
      this.#watch(both.filter((video) => !isReady(video)));
      if (!waits) this.#pull();
      if (waits !== this.waits) {
        this.waits = waits;
        this.#changed();
      }
      this.#beat = requestAnimationFrame(() => this.wanted && this.#tick());
    }

    // One that lacks data plays on, which makes the browser load it; the other waits for it.
    #run(video, waits) {
      if (waits && !video.paused) video.pause();
      if (waits || !video.paused || isOver(video, this.frame)) return;
      video.play().catch((error) => { if (error.name === "NotAllowedError") this.pause(); });
    }

    #pull() {
      const { lead, other, drift, rate } = this;
      if (drift === null || lead.seeking || other.seeking) return;
      if (Math.abs(drift) > FAR) {
        this.#place(other, lead.currentTime);
        return;
      }
      const by = Math.abs(drift) < this.frame / 4 ? 0 : Math.min(Math.max(PULL * drift, -MOST), MOST);
      const speed = rate * (1 - by);
      if (other.playbackRate !== speed) other.playbackRate = speed;
    }

    #watch(starved) {
      const now = performance.now();
      this.#starved = new Map(starved.map((video) => [video, this.#starved.get(video) ?? now]));
      for (const [video, since] of this.#starved) if (now - since > this.patience) this.#reload(video);
    }

    #failed(video) {
      const code = video.error && video.error.code;
      if (code === MediaError.MEDIA_ERR_NETWORK) this.#reload(video);
      else this.#giveUp(video);
    }

    #reload(video) {
      const tried = this.#tries.get(video) ?? 0;
      this.#starved.delete(video);
      if (tried >= TRIES) {
        this.#giveUp(video);
        return;
      }
      this.#tries.set(video, tried + 1);
      const at = video.currentTime;
      setTimeout(() => {
        if (!video.hasAttribute("src")) return;
        video.load();
        video.currentTime = at;
      }, tried * PAUSE);
    }

    #giveUp(video) {
      if (this.#lost.has(video)) return;
      this.#lost.add(video);
      if (video === this.lead) this.pause();
      this.dispatchEvent(new CustomEvent("failed", { detail: video }));
    }

    #changed() { this.dispatchEvent(new Event("change")); }
  }
  return InStep;
})();
