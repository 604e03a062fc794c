// Draws the page's figures in the colours of light or dark.
"use strict";

(() => {
  const charts = JSON.parse(document.getElementById("chart-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");

  function parallel(colour) {
    const font = { color: colour("--ink"), size: 12 };
    return { labelfont: font, tickfont: font, rangefont: { ...font, color: "rgba(0,0,0,0)" }, unselected: { line: { color: colour("--line"), opacity: 0.4 } } };
  }

  function draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const coloured = (value) => {
      if (typeof value === "string") return value.startsWith("--") ? colour(value) : value;
      return value;
    };
    for (const chart of charts) {
      const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line") };
      const titled = (own) => ({ ...axis, ...own, title: { ...own.title, font: { size: 13 } } });
      const traces = chart.data.map((trace) => ({
        ...trace,
        ...(trace.marker ? { marker: { ...trace.marker, color: coloured(trace.marker.color) } } : {}),
        // A colour of the page with a sixth of its strength.
        ...(trace.fillcolor?.startsWith("--") ? { fillcolor: `${coloured(trace.fillcolor)}2a` } : {}),
        ...(trace.line ? { line: { ...trace.line, color: coloured(trace.line.color) } } : {}),
        ...(trace.type === "parcoords" ? parallel(colour) : {}),
      }));
      const layout = {
        ...chart.layout,
        height: chart.height,
        margin: chart.top ? { l: 70, r: 60, t: chart.top, b: 24 } : { l: 56, r: 12, t: 8, b: 48 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { color: colour("--ink"), family: style.fontFamily, size: narrow.matches ? 12 : 13 },
        hoverlabel: { bgcolor: colour("--raised"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
        legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
        ...(chart.layout.xaxis ? { xaxis: titled(chart.layout.xaxis), yaxis: titled({ ...chart.layout.yaxis, ...(narrow.matches ? chart.narrow : {}) }) } : {}),
      };
      const place = document.getElementById(`chart-${chart.name}`);
      Plotly.react(place, traces, layout, { responsive: true, displayModeBar: false }).then(() => {
        // The figure is one image with a name; its parts, and the drawing that Plotly measures texts with, have none.
        for (const part of document.querySelectorAll(".chart svg, svg#js-plotly-tester")) part.setAttribute("aria-hidden", "true");
        if (place.dataset.ready) return;
        place.dataset.ready = "true";
        place.on("plotly_click", (event) => {
          const address = event.points[0].customdata;
          if (address) location.href = address;
        });
      });
    }
  }

  draw();
  dark.addEventListener("change", draw);
})();
