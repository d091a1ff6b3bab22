"use strict";
(() => {
  const store = JSON.parse(document.getElementById("report-points").textContent);
  const tip = document.getElementById("tooltip");
  const ring = document.getElementById("ring");
  const REACH = 16;
  let shown = null;

  const add = (parent, tag, text, name) => {
    const node = document.createElement(tag);
    node.textContent = text;
    if (name) node.className = name;
    parent.append(node);
    return node;
  };

  const fill = (point) => {
    tip.replaceChildren();
    add(tip, "strong", point.title);
    if (point.architecture) add(tip, "code", point.architecture);
    const facts = add(tip, "dl", "");
    for (const [name, value] of point.rows) {
      add(facts, "dt", name);
      add(facts, "dd", value);
    }
    const choices = store.choices[point.architecture];
    if (choices) {
      const list = add(tip, "dl", "", "choices");
      for (const [stage, value] of choices) {
        add(list, "dt", stage);
        add(list, "dd", value);
      }
    }
  };

  const hide = () => {
    shown = null;
    tip.hidden = ring.hidden = true;
  };

  const show = (mark) => {
    if (mark === shown) return;
    const key = mark.ownerSVGElement.dataset.figure;
    const point = store.figures[key.replace(/-narrow$/, "")][mark.closest("[data-s]").dataset.s][Number(mark.dataset.p)];
    shown = mark;
    fill(point);
    tip.hidden = ring.hidden = false;
    const box = mark.getBoundingClientRect();
    const x = box.left + box.width / 2;
    const y = box.top + box.height / 2;
    const size = Math.max(box.width, box.height) + 8;
    ring.style.width = ring.style.height = `${size}px`;
    ring.style.left = `${x + scrollX - size / 2}px`;
    ring.style.top = `${y + scrollY - size / 2}px`;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const beside = x + 18 + tip.offsetWidth < document.documentElement.clientWidth ? x + 18 : x - 18 - tip.offsetWidth;
    const below = Math.min(y + 12, innerHeight - tip.offsetHeight - 8);
    tip.style.left = `${Math.max(8, Math.min(beside, room)) + scrollX}px`;
    tip.style.top = `${Math.max(8, below) + scrollY}px`;
  };

  const nearest = (marks, event) => {
    let best = null;
    let least = REACH;
    for (const mark of marks) {
      const box = mark.getBoundingClientRect();
      const away = Math.hypot(box.left + box.width / 2 - event.clientX, box.top + box.height / 2 - event.clientY);
      if (away < least) {
        least = away;
        best = mark;
      }
    }
    return best;
  };

  for (const plot of document.querySelectorAll("svg.plot")) {
    const marks = [...plot.querySelectorAll("[data-p]")];
    if (!marks.length) continue;
    const point = (event) => {
      const mark = nearest(marks, event);
      if (mark) show(mark);
      else hide();
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("focusin", (event) => event.target.dataset.p !== undefined && show(event.target));
    plot.addEventListener("focusout", hide);
  }
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
  addEventListener("resize", hide);
})();
