// Plays the versions of a scene or song and switches between them at the same instant; see engines.js.
"use strict";

(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const $ = (id) => document.getElementById(id);
  const STEP = 2; // s, of an arrow key

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
      let made = hearlabEngine(own);
      made.active = chosen[state.group];
      try {
        await made.ready();
      } catch (error) {
        if (made.kind === "elements") throw error;
        made = hearlabEngine(own, true);
        made.active = chosen[state.group];
        await made.ready();
      }
      made.finished = () => {
        if (state.loop) made.play(0);
        draw();
      };
      made.broken = (reason) => {
        say(`Cannot play: is there a sound output? (${reason})`);
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
      say("");
      await own.play(at >= duration() - 0.02 ? 0 : at);
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
        // All pictures of a group have one time axis: that of the longest version.
        const head = item.querySelector(".head");
        if (head) head.style.left = `${Math.min(at / total, 1) * 100}%`;
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
      seek(Math.min(((event.clientX - box.left) / box.width) * duration(), group().versions[index].seconds));
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
    const place = state.labels ? -1 : group().versions.findIndex((version) => version.key === event.key);
    if (state.labels && /^[1-9]$/.test(event.key)) state.labels.key(Number(event.key));
    else if (place >= 0) select(place);
    else if (keys[event.key]) {
      if (state.labels && (event.key === "b" || event.key === "m")) return;
      keys[event.key]();
    } else return;
    if (range || event.key === " " || event.key === "Home") event.preventDefault();
  });

  window.hearlab = { state, page, select, seek, toggle, showGroup, setMatched, engine, group, duration, draw, say };
  showGroup(0);
})();
