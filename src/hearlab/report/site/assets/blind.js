// A blind comparison of two versions: which is preferred, without knowing which is which.
"use strict";

(() => {
  const { state, page, select, seek, toggle, setMatched, group, say } = window.hearlab;
  const $ = (id) => document.getElementById(id);
  const a = $("blind-a");
  const b = $("blind-b");
  let test = null;
  // hearlab serve says by this cookie that it collects answers.
  const cookie = new RegExp(`(?:^|; )hearlab_serve_${location.port || 80}=([\\w-]+)`);
  const token = () => document.cookie.match(cookie)?.[1];
  const collected = Boolean(token());
  const listener = document.createElement("input");

  /** A place for the listener's name or code, where answers are collected. */
  function askListener() {
    const label = document.createElement("label");
    listener.id = "blind-listener";
    listener.maxLength = 40;
    listener.size = 12;
    listener.autocomplete = "off";
    try {
      listener.value = sessionStorage.getItem("hearlab-listener") ?? "";
    } catch {
      // Without storage it is asked on each page.
    }
    label.append("Your name or code ", listener);
    $("blind-start").before(label, " ");
  }

  async function send(result) {
    const said = document.createElement("p");
    said.id = "blind-sent";
    said.setAttribute("role", "status");
    $("blind-sent")?.remove();
    $("blind-summary").after(said);
    const again = () => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Send again";
      button.addEventListener("click", () => send(result));
      said.append(" ", button);
    };
    const post = () =>
      fetch("/blind/answers", {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-HearLab": token() ?? "" },
        body: JSON.stringify(result),
      });
    try {
      let answer = await post();
      if (answer.status === 403) {
        // The server was started again since this page was loaded: its pages bring the new cookie.
        await fetch("/report/index.html", { method: "HEAD" });
        answer = await post();
      }
      const text = await answer.text();
      said.textContent = answer.ok ? "Your answers are kept. Thank you." : `Not kept: ${text}`;
      if (!answer.ok) again();
    } catch {
      said.textContent = "Not kept: the server does not answer. Save the result.";
      again();
    }
  }

  function fill() {
    for (const [box, kind] of [
      [a, "unprocessed"],
      [b, "enhanced"],
    ]) {
      box.replaceChildren(
        ...group().versions.map((version, index) => {
          const option = document.createElement("option");
          option.value = String(index);
          option.textContent = version.label;
          return option;
        }),
      );
      const first = group().versions.findIndex((version) => version.kind === kind);
      box.value = String(Math.max(first, 0));
    }
    if (a.value === b.value && group().versions.length > 1) b.value = a.value === "0" ? "1" : "0";
  }

  /** As many trials with A first as with B first (one more of either if their number is odd), in random order. */
  function orders(count) {
    const list = Array.from({ length: count }, (_, index) => index % 2 === 0);
    const random = (below) => {
      const limit = Math.floor(2 ** 32 / below) * below;
      for (;;) {
        const drawn = crypto.getRandomValues(new Uint32Array(1))[0];
        if (drawn < limit) return drawn % below;
      }
    };
    if (count % 2 && random(2)) list[count - 1] = false;
    for (let place = count - 1; place > 0; place--) {
      const other = random(place + 1);
      [list[place], list[other]] = [list[other], list[place]];
    }
    return list;
  }

  /** Two-sided sign test: how likely so clear a preference is if none is there. */
  function signTest(first, second) {
    const n = first + second;
    if (!n) return 1;
    let term = 0.5 ** n;
    let tail = 0;
    for (let k = 0; k <= Math.min(first, second); k++) {
      tail += term;
      term *= (n - k) / (k + 1);
    }
    return Math.min(2 * tail, 1);
  }

  function hear(which) {
    const first = test.orders[test.trials.length];
    select((which === 0) === first ? test.a : test.b);
    test.hearing = which;
    test.heard.add(which);
    draw();
    if (!state.engine?.playing) toggle();
  }

  function answer(which) {
    if (test.heard.size < 2) {
      $("blind-said").textContent = "Listen to both first.";
      return;
    }
    const first = test.orders[test.trials.length];
    const preferred = which === null ? null : (which === 0) === first ? "a" : "b";
    test.trials.push({
      first: first ? "a" : "b",
      preferred,
      seconds: Math.round((performance.now() - test.since) / 100) / 10,
    });
    test.heard = new Set();
    test.since = performance.now();
    if (test.trials.length === test.orders.length) finish();
    else {
      state.engine?.pause();
      seek(0);
      hear(0);
    }
  }

  function draw() {
    $("blind-said").textContent = `Trial ${test.trials.length + 1} of ${test.orders.length}`;
    $("blind-first").setAttribute("aria-pressed", String(test.hearing === 0));
    $("blind-second").setAttribute("aria-pressed", String(test.hearing === 1));
  }

  function start() {
    if (a.value === b.value) {
      $("blind-said").textContent = "Choose two different versions.";
      return;
    }
    if (collected) {
      listener.value = listener.value.trim();
      if (!/^[\p{L}\p{N}][\p{L}\p{N}_ .-]{0,39}$/u.test(listener.value)) {
        $("blind-said").textContent = "Enter your name or code: letters, digits, spaces, dots and dashes.";
        listener.focus();
        return;
      }
      try {
        sessionStorage.setItem("hearlab-listener", listener.value);
      } catch {
        // Kept for this page.
      }
    }
    setMatched(true);
    test = {
      a: Number(a.value),
      b: Number(b.value),
      orders: orders(Number($("blind-count").value)),
      trials: [],
      heard: new Set(),
      since: performance.now(),
      started: new Date().toISOString(),
    };
    state.labels = {
      key: (number) => {
        if (number <= 2) hear(number - 1);
      },
    };
    document.body.classList.add("blind");
    say("");
    $("blind-setup").hidden = true;
    $("blind-result").hidden = true;
    $("blind-trial").hidden = false;
    hear(0);
    $("blind-first").focus();
  }

  function leave() {
    state.engine?.pause();
    state.labels = null;
    document.body.classList.remove("blind");
    $("blind-trial").hidden = true;
    $("blind-setup").hidden = false;
    $("blind-said").textContent = "";
    seek(0);
  }

  function finish() {
    const { a: ia, b: ib, trials, started } = test;
    const count = (name) => trials.filter((trial) => trial.preferred === name).length;
    const preferred = { a: count("a"), b: count("b"), none: count(null) };
    const result = {
      format: "hearlab blind test 1",
      track: page.track,
      name: page.name,
      group: group().name,
      versions: { a: group().versions[ia].label, b: group().versions[ib].label },
      level_matched: true,
      started,
      finished: new Date().toISOString(),
      trials,
      preferred,
      sign_test_p: signTest(preferred.a, preferred.b),
    };
    leave();
    const p = result.sign_test_p;
    $("blind-summary").textContent =
      `${result.versions.b} was preferred ${preferred.b} times, ${result.versions.a} ${preferred.a} times` +
      (preferred.none ? `, neither ${preferred.none} times` : "") +
      `. Sign test: p = ${p < 0.001 ? p.toExponential(1) : p.toFixed(3)}` +
      (p < 0.05 ? "." : ", which chance can explain.");
    const save = $("blind-save");
    URL.revokeObjectURL(save.href);
    save.href = URL.createObjectURL(new Blob([`${JSON.stringify(result, null, 1)}\n`], { type: "application/json" }));
    save.download = `blind-${page.file}-${started.slice(0, 19).replaceAll(":", "")}.json`;
    $("blind-result").hidden = false;
    save.focus();
    window.hearlab.blindResult = result;
    if (collected) {
      const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0"));
      send({ ...result, test: id.join(""), listener: listener.value });
    }
  }

  $("blind-start").addEventListener("click", start);
  $("blind-stop").addEventListener("click", leave);
  $("blind-first").addEventListener("click", () => hear(0));
  $("blind-second").addEventListener("click", () => hear(1));
  $("prefer-first").addEventListener("click", () => answer(0));
  $("prefer-second").addEventListener("click", () => answer(1));
  $("prefer-none").addEventListener("click", () => answer(null));
  document.querySelectorAll("[data-show-group]").forEach((button) => button.addEventListener("click", fill));
  fill();
  if (collected) askListener();
})();
