// Plays the versions of a scene or song in step and switches between them at the same instant.
"use strict";

const hearlabSounds = new Map();
// Called by the scripts of a portable site: a FLAC file in base64, because a page opened from disk cannot fetch one.
function hearlabSound(name, content) {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  hearlabSounds.set(name, bytes.buffer);
}

(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const $ = (id) => document.getElementById(id);
  const FADE = 0.012; // s: no click, and nobody hears a fade so short
  const STEP = 2; // s, of an arrow key
  const ALIGN_EVERY = 200; // ms
  const EXACT_SECONDS = 600; // of a group together, decoded

  // An element that is muted from the start runs on another clock in Chromium and stalls when it is first heard; one that
  // plays 100 dB down does not. Where the volume cannot be set (iOS) there is only muting.
  const SILENT = 1e-5;
  const probe = new Audio();
  probe.volume = 0.5;
  const settable = probe.volume === 0.5;

  function hush(audio, volume) {
    if (settable) audio.volume = Math.max(volume, SILENT);
    else audio.muted = volume <= SILENT;
  }

  /** A mono file of one ear comes out of both loudspeakers here, as does that of the other ear: half of each. */
  function level(file) {
    return file.ear ? file.volume / 2 : file.volume;
  }

  /** Media elements that run side by side, all silent but one; the silent ones are kept in step with it. */
  class ElementEngine {
    constructor(group) {
      this.kind = "elements";
      this.parts = [];
      group.versions.forEach((version, index) => {
        for (const file of version.files) {
          const audio = new Audio();
          audio.preload = "auto";
          hush(audio, 0);
          audio.src = file.url;
          this.parts.push({ audio, file, index });
        }
      });
      this.active = 0;
      this.at = 0;
      this.playing = false;
      this.run = 0;
      this.finished = () => {};
    }

    async ready() {
      await Promise.all(this.parts.map(({ audio }) => settled(audio)));
      if (this.parts.every(({ audio }) => audio.error)) throw new Error("the audio files cannot be read");
    }

    get master() {
      return this.parts.find((part) => part.index === this.active);
    }

    position() {
      const { audio, file } = this.master;
      return this.playing ? Math.max(audio.currentTime - file.start, 0) : this.at;
    }

    /** Seconds by which each part is ahead of the one that is heard. */
    offsets() {
      const at = this.position();
      return this.parts.map(({ audio, file }) => audio.currentTime - file.start - at);
    }

    async play(at) {
      const run = ++this.run;
      this.pause();
      this.run = run;
      for (const { audio, file } of this.parts) {
        audio.playbackRate = 1;
        if (Math.abs(audio.currentTime - at - file.start) > 0.0005) audio.currentTime = at + file.start;
      }
      await Promise.all(this.parts.map(({ audio }) => settled(audio)));
      if (run !== this.run) return;
      this.at = at;
      this.apply();
      const starts = this.parts.filter(({ audio }) => !audio.error).map(({ audio }) => audio.play());
      this.playing = true;
      await Promise.all(starts.map((start) => start.catch(() => {}))); // one that ended at once is no failure
      if (run !== this.run) return;
      this.looked = [];
      this.timer = setInterval(() => this.align(), ALIGN_EVERY);
    }

    pause() {
      this.at = this.position();
      this.run++;
      this.playing = false;
      clearInterval(this.timer);
      for (const { audio } of this.parts) audio.pause();
    }

    seek(at) {
      if (this.playing) return this.play(at);
      this.at = at;
      return Promise.resolve();
    }

    select(index) {
      const before = this.parts.filter((part) => part.index === this.active);
      this.active = index;
      this.looked = []; // offsets are from another version now
      const now = this.parts.filter((part) => part.index === index);
      if (!this.playing) return this.apply();
      for (const { audio } of now) audio.playbackRate = 1;
      const steps = 4;
      const fade = (step) => {
        if (this.active !== index) return;
        for (const { audio, file } of now) hush(audio, (level(file) * step) / steps);
        for (const { audio, file, index: own } of before) {
          if (own !== index) hush(audio, level(file) * (1 - step / steps));
        }
        if (step < steps) setTimeout(() => fade(step + 1), (FADE * 1000) / steps);
        else this.apply();
      };
      fade(1);
      return undefined;
    }

    apply() {
      for (const { audio, file, index } of this.parts) {
        hush(audio, index === this.active ? level(file) : 0);
      }
    }

    align() {
      const master = this.master;
      if (master.audio.ended || master.audio.error) {
        this.pause();
        this.at = 0;
        this.finished();
        return;
      }
      const before = this.looked ?? [];
      const offsets = this.offsets();
      this.looked = offsets;
      this.parts.forEach(({ audio, index }, place) => {
        // A single look can be wrong by 20 ms, as the browser tells times by the buffer: both of two looks must agree.
        const last = before[place] ?? 0;
        const agreed = Math.sign(last) === Math.sign(offsets[place]);
        const ahead = agreed ? Math.sign(last) * Math.min(Math.abs(last), Math.abs(offsets[place])) : 0;
        if (audio === master.audio || audio.paused || audio.ended || audio.seeking) return;
        const heard = index === this.active;
        if (Math.abs(ahead) > 0.3) audio.currentTime -= ahead;
        else if (Math.abs(ahead) > (heard ? 0.02 : 0.003)) {
          // Half of the offset is made up for until the next look: more would swing.
          audio.playbackRate = Math.min(Math.max(1 - (ahead / (ALIGN_EVERY / 1000)) * 0.5, 0.8), 1.25);
        } else if (audio.playbackRate !== 1) audio.playbackRate = 1;
      });
    }
  }

  /** Decoded sounds on one clock: the same sample of every version at the same time, a short fade between them. */
  class BufferEngine {
    constructor(group) {
      this.kind = "buffers";
      this.group = group;
      this.active = 0;
      this.at = 0;
      this.playing = false;
      this.gains = [];
      this.sources = [];
      this.finished = () => {};
    }

    async ready() {
      this.context ??= new AudioContext();
      if (this.group.scripts) for (const address of this.group.scripts) await script(address);
      const load = async (file) => {
        const held = hearlabSounds.get(file.name);
        const bytes = held ? held.slice(0) : await (await fetch(file.url)).arrayBuffer();
        return this.context.decodeAudioData(bytes);
      };
      this.buffers ??= await Promise.all(
        this.group.versions.map((version) => Promise.all(version.files.map((file) => load(file)))),
      );
    }

    position() {
      return this.playing ? Math.max(this.context.currentTime - this.zero, 0) : this.at;
    }

    offsets() {
      return this.gains.map(() => 0);
    }

    async play(at) {
      this.stop();
      await this.context.resume();
      const when = this.context.currentTime + 0.02;
      this.zero = when - at;
      let left = 0;
      this.gains = this.group.versions.map((version, index) => {
        const gain = this.context.createGain();
        gain.gain.value = index === this.active ? 1 : 0;
        gain.connect(this.context.destination);
        version.files.forEach((file, place) => {
          const source = this.context.createBufferSource();
          source.buffer = this.buffers[index][place];
          const level = this.context.createGain();
          level.gain.value = file.volume;
          let output = source.connect(level);
          if (file.ear) {
            const side = this.context.createStereoPanner();
            side.pan.value = file.ear === "left" ? -1 : 1;
            output = output.connect(side);
          }
          output.connect(gain);
          source.start(when, at + file.start);
          left = Math.max(left, source.buffer.duration - file.start - at);
          this.sources.push(source);
        });
        return gain;
      });
      this.playing = true;
      this.timer = setTimeout(
        () => {
          this.stop();
          this.at = 0;
          this.finished();
        },
        (left + 0.05) * 1000,
      );
    }

    stop() {
      clearTimeout(this.timer);
      this.playing = false;
      for (const source of this.sources) source.stop();
      for (const gain of this.gains) gain.disconnect();
      this.sources = [];
      this.gains = [];
    }

    pause() {
      this.at = this.position();
      this.stop();
    }

    seek(at) {
      if (this.playing) return this.play(at);
      this.at = at;
      return Promise.resolve();
    }

    select(index) {
      const now = this.playing ? this.context.currentTime : 0;
      [this.active, index].forEach((place, step) => {
        const gain = this.gains[place]?.gain;
        if (!gain || this.active === index) return;
        gain.cancelScheduledValues(now);
        gain.setValueAtTime(1 - step, now);
        gain.linearRampToValueAtTime(step, now + FADE);
      });
      this.active = index;
    }

    apply() {
      if (this.playing) this.play(this.position());
    }
  }

  function settled(audio) {
    return new Promise((done) => {
      const look = () => {
        if (audio.error || (audio.readyState >= 3 && !audio.seeking)) {
          for (const event of events) audio.removeEventListener(event, look);
          done();
        }
      };
      const events = ["canplay", "canplaythrough", "seeked", "error"];
      for (const event of events) audio.addEventListener(event, look);
      look();
    });
  }

  function script(address) {
    return new Promise((done, failed) => {
      const element = document.createElement("script");
      element.src = address;
      element.onload = done;
      element.onerror = () => failed(new Error(`${address} cannot be read`));
      document.head.append(element);
    });
  }

  function makeEngine(group) {
    const seconds = group.versions.reduce((sum, version) => sum + version.seconds, 0);
    const served = location.protocol.startsWith("http") && seconds <= EXACT_SECONDS;
    return group.scripts || served ? new BufferEngine(group) : new ElementEngine(group);
  }

  const state = { group: 0, engine: null, loading: null, matched: true, loop: false, labels: null };
  const chosen = page.groups.map(() => 0);

  function group() {
    return page.groups[state.group];
  }

  function duration() {
    return Math.max(...group().versions.map((version) => version.seconds));
  }

  function volumes() {
    for (const version of group().versions) {
      for (const file of version.files) file.volume = state.matched ? file.matched : file.plain;
    }
  }

  async function engine() {
    if (state.loading) return state.loading;
    const own = group();
    state.loading = (async () => {
      volumes();
      let made = makeEngine(own);
      made.active = chosen[state.group];
      try {
        await made.ready();
      } catch (error) {
        if (made.kind === "elements") throw error;
        made = new ElementEngine(own);
        made.active = chosen[state.group];
        await made.ready();
      }
      made.finished = () => {
        if (state.loop) made.play(0);
        draw();
      };
      state.engine = made;
      $("how").textContent =
        made.kind === "buffers"
          ? "Versions switch at the same sample."
          : "Versions run side by side, in step to some thousandths of a second.";
      return made;
    })();
    state.loading.catch((error) => say(`Cannot play: ${error.message}.`));
    return state.loading;
  }

  function say(text) {
    $("status").textContent = text;
  }

  async function toggle() {
    if (state.engine?.playing) {
      state.engine.pause();
      draw();
      return;
    }
    const at = state.engine ? state.engine.position() : Number($("seek").value);
    say("Loading…");
    try {
      const own = await engine();
      await own.play(at >= duration() - 0.02 ? 0 : at);
      say("");
    } catch {
      /* told by engine() */
    }
    draw();
  }

  async function seek(at) {
    const to = Math.min(Math.max(at, 0), duration());
    $("seek").value = String(to);
    if (state.engine) await state.engine.seek(to);
    draw();
  }

  function select(index) {
    if (index < 0 || index >= group().versions.length) return;
    chosen[state.group] = index;
    state.engine?.select(index);
    draw();
    if (!state.labels) say(`${group().versions[index].label}`);
  }

  async function showGroup(index) {
    const at = state.engine ? state.engine.position() : Number($("seek").value);
    const playing = Boolean(state.engine?.playing);
    state.engine?.pause();
    state.group = index;
    state.engine = null;
    state.loading = null;
    document.querySelectorAll("[data-group]").forEach((panel) => {
      panel.hidden = Number(panel.dataset.group) !== index;
    });
    document.querySelectorAll("[data-show-group]").forEach((button) => {
      button.setAttribute("aria-pressed", String(Number(button.dataset.showGroup) === index));
    });
    const to = at < duration() ? at : 0;
    $("seek").max = String(duration());
    $("seek").value = String(to);
    if (playing) {
      const own = await engine();
      await own.play(to);
    }
    draw();
  }

  function setMatched(on) {
    state.matched = on;
    $("matched").checked = on;
    volumes();
    state.engine?.apply();
  }

  const clock = (seconds) => {
    const whole = Math.max(seconds, 0);
    return `${Math.floor(whole / 60)}:${(whole % 60).toFixed(1).padStart(4, "0")}`;
  };

  function draw() {
    const playing = Boolean(state.engine?.playing);
    const at = state.engine ? state.engine.position() : Number($("seek").value);
    const total = duration();
    $("play").textContent = playing ? "Pause" : "Play";
    $("play").classList.toggle("playing", playing);
    if (!scrubbing) $("seek").value = String(Math.min(at, total));
    $("seek").setAttribute("aria-valuetext", `${at.toFixed(1)} of ${total.toFixed(1)} seconds`);
    $("time").textContent = `${clock(at)} / ${clock(total)}`;
    document.querySelectorAll("[data-group]").forEach((panel) => {
      const own = Number(panel.dataset.group);
      panel.querySelectorAll("[data-version]").forEach((item) => {
        const index = Number(item.dataset.version);
        const on = index === chosen[own];
        item.classList.toggle("chosen", on);
        item.querySelector("button").setAttribute("aria-pressed", String(on));
        const seconds = page.groups[own].versions[index].seconds;
        const head = item.querySelector(".head");
        if (head) head.style.left = `${Math.min(at / seconds, 1) * 100}%`;
      });
    });
    if (playing) requestAnimationFrame(draw);
  }

  let scrubbing = false;
  $("play").addEventListener("click", toggle);
  $("seek").addEventListener("input", () => {
    scrubbing = true;
  });
  $("seek").addEventListener("change", () => {
    scrubbing = false;
    seek(Number($("seek").value));
  });
  $("matched").addEventListener("change", () => setMatched($("matched").checked));
  $("loop").addEventListener("change", () => {
    state.loop = $("loop").checked;
  });
  document.querySelectorAll("[data-show-group]").forEach((button) => {
    button.addEventListener("click", () => showGroup(Number(button.dataset.showGroup)));
  });
  document.querySelectorAll("[data-version]").forEach((item) => {
    const index = Number(item.dataset.version);
    item.querySelector("button").addEventListener("click", () => select(index));
    const picture = item.querySelector(".picture");
    picture?.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      select(index);
      seek(((event.clientX - box.left) / box.width) * group().versions[index].seconds);
    });
  });
  // A button that was clicked with the pointer lets go of the focus, so that the space bar plays and pauses.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (button && event.detail > 0) button.blur();
  });

  const keys = {
    " ": toggle,
    ArrowLeft: () => seek((state.engine?.position() ?? Number($("seek").value)) - STEP),
    ArrowRight: () => seek((state.engine?.position() ?? Number($("seek").value)) + STEP),
    Home: () => seek(0),
    m: () => setMatched(!state.matched),
    l: () => $("loop").click(),
    b: () => {
      $("blind").open = !$("blind").open;
      if ($("blind").open) $("blind").querySelector("select")?.focus();
    },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const target = event.target;
    const range = target.matches?.("input[type=range]");
    if (target.matches?.("select, textarea, input:not([type=range]):not([type=checkbox])")) return;
    if (event.key === " " && target.matches?.("button, summary, a, input[type=checkbox]")) return;
    if (/^[1-9]$/.test(event.key)) {
      if (state.labels) state.labels.key(Number(event.key));
      else select(Number(event.key) - 1);
    } else if (keys[event.key]) {
      if (state.labels && (event.key === "b" || event.key === "m")) return;
      keys[event.key]();
    } else return;
    if (range || event.key === " " || event.key === "Home") event.preventDefault();
  });

  window.hearlab = { state, page, select, seek, toggle, showGroup, setMatched, engine, group, duration, draw, say };
  showGroup(0);
})();
