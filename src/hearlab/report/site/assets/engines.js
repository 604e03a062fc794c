// Two ways to play versions in step: media elements side by side, or decoded sounds on one clock.
"use strict";

const hearlabSounds = new Map();
// Called by the scripts of a portable site: a FLAC file in base64, because a page opened from disk cannot fetch one.
function hearlabSound(name, content) {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  hearlabSounds.set(name, bytes.buffer);
}

const hearlabEngine = (() => {
  const FADE = 0.012; // s: no click, and nobody hears a fade so short
  const ALIGN_EVERY = 200; // ms
  const STARTED_WITHIN = 5000; // ms
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
      this.broken = () => {};
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
        if (audio.error) audio.load(); // the sound output may be there now
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
      if (this.failed()) return;
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

    /** Ends and tells it where the browser gave up on the version that is heard: as without a sound output. */
    failed() {
      const { error } = this.master.audio;
      if (!error) return false;
      const at = this.at;
      this.pause();
      this.at = at;
      this.broken(error.message || "the browser gave no reason");
      return true;
    }

    align() {
      const master = this.master;
      if (this.failed()) return;
      if (master.audio.ended) {
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
      this.broken = () => {};
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
      // Without a sound output some browsers leave the clock of sounds standing, and never say so.
      await Promise.race([this.context.resume(), new Promise((late) => setTimeout(late, STARTED_WITHIN))]);
      if (this.context.state !== "running") {
        this.at = at;
        this.broken("its clock does not run");
        return;
      }
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

  /** The engine for a group; `plain` asks for media elements, where decoding has failed. */
  function makeEngine(group, plain = false) {
    const seconds = group.versions.reduce((sum, version) => sum + version.seconds, 0);
    const served = location.protocol.startsWith("http") && seconds <= EXACT_SECONDS;
    return !plain && (group.scripts || served) ? new BufferEngine(group) : new ElementEngine(group);
  }

  return makeEngine;
})();
