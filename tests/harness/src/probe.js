// Runs in a page that a test shows, and writes what it finds into the page: [probe:JSON:probe], percent-encoded.
"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const name = (element) =>
    element.getAttribute("aria-label") || element.getAttribute("alt") || "";
  const box = (element) => {
    const { width, height } = element.getBoundingClientRect();
    return [Math.round(width), Math.round(height)];
  };

  // Any colour of any colour space as red, green, blue and opacity.
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([red, green, blue]) => {
    const linear = [red, green, blue].map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const contrast = (front, back) => {
    const [light, dark] = [luminance(front), luminance(back)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  // Words that are shown, with the contrast to what is behind them.
  const faint = [];
  let least = 21;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || element.closest("script, style, .skip") || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const ink = element.closest("svg") ? style.fill : style.color;
    const found = contrast(rgba(ink), background(element));
    least = Math.min(least, found);
    if (found < 4.5) faint.push(`${text.slice(0, 40)} (${found.toFixed(2)})`);
  }

  const ids = all("[id]").map((element) => element.id);
  const found = {
    title: document.title,
    lang: document.documentElement.lang,
    paper: rgba(getComputedStyle(document.body).backgroundColor).slice(0, 3),
    headings: all("h1, h2, h3, h4").map((heading) => [Number(heading.tagName[1]), heading.textContent]),
    figures: all("figure").map((figure) => ({
      id: figure.id,
      caption: (figure.querySelector("figcaption") || { textContent: "" }).textContent.trim(),
      drawings: all("svg", figure).map((svg) => ({
        box: box(svg),
        role: svg.getAttribute("role"),
        name: name(svg),
        shapes: all("path, polyline, polygon, rect, circle, line, text", svg).filter((shape) => {
          const { width, height } = shape.getBBox();
          return width + height > 0;
        }).length,
      })),
      photographs: all("img", figure).map((image) => ({
        box: box(image),
        natural: [image.naturalWidth, image.naturalHeight],
        name: name(image),
      })),
    })),
    tables: all("table").map((table) => ({
      caption: (table.caption || { textContent: "" }).textContent.trim(),
      rows: all("tbody tr", table).length,
      unscoped: all("th:not([scope])", table).length,
    })),
    scripts: all("script").length - 1,
    outside: all("[src], link[href]")
      .map((element) => element.getAttribute("src") || element.getAttribute("href"))
      .filter((address) => !address.startsWith("data:")),
    broken: all("a[href^='#']")
      .map((link) => link.getAttribute("href").slice(1))
      .filter((id) => !document.getElementById(id)),
    repeated: ids.filter((id, index) => ids.indexOf(id) !== index),
    unreachable: all(".scrolling:not([tabindex])").length,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    least,
    faint,
  };
  const answer = document.createElement("div");
  answer.textContent = `[probe:${encodeURIComponent(JSON.stringify(found))}:probe]`;
  document.body.append(answer);
})();
