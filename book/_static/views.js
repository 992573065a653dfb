// The views that move. A page holds a <div class="view" data-view="scene|loop|split"> with words that stand until this script
// has drawn; the data come as a script of their own once the view is near the screen, so that a book opened from disk has them too.
const VIEWS = {};
const folder = new URL("views/", document.currentScript.src);
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  const made = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Where the run that a view shows stands in the table of records.
function source({ record }) {
  const address = new URL("../../book/records.html", folder);
  address.searchParams.set("any", record.split("-").at(-1));
  return element("p", {}, "Its run: ", element("a", { href: address }, record));
}

const clear = (svg) => svg.replaceChildren();
const text = (x, y, said, anchor = "middle") => element("svg:text", { x, y, "text-anchor": anchor }, said);

// The bytes of the first channel of an image: its grey values.
async function greys(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = element("canvas", { width: image.width, height: image.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height).data.filter((_, place) => place % 4 === 0);
}

const rgb = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));

// Paint classes 0..K, 0 white, on a canvas of the scene's size.
function paint(canvas, classes, palette) {
  const colours = [[255, 255, 255], ...palette.map(rgb)];
  const image = new ImageData(canvas.width, canvas.height);
  classes.forEach((value, place) => image.data.set([...colours[value], 255], 4 * place));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function map(data, title) {
  const canvas = element("canvas", { width: data.width, height: data.height });
  return [canvas, element("figure", {}, canvas, element("figcaption", {}, title))];
}

function axes(svg, { left, right, top, bottom }, x, y, xTicks, yTicks) {
  for (const tick of xTicks) svg.append(text(x(tick), bottom + 14, tick.toLocaleString("en")));
  for (const tick of yTicks) {
    svg.append(element("svg:line", { x1: left, x2: right, y1: y(tick), y2: y(tick), class: "grid" }));
    svg.append(text(left - 5, y(tick) + 4, tick.toLocaleString("en"), "end"));
  }
}

const scale = (from, to, low, high) => (value) => low + ((value - from) / (to - from)) * (high - low);

// False colour, truth and map linked: one pixel marked in all three, with its spectrum and what the network says of it.
VIEWS.scene = async (view, data) => {
  const [truth, predicted, confidence, spectra] = await Promise.all(
    [data.truth, data.predicted, data.confidence, data.spectra].map(greys));
  const size = data.width * data.height;
  const shown = ["False colour", "Ground truth", "Predicted"].map((title) => map(data, title));
  const picture = new Image();
  picture.src = data.colours;
  await picture.decode();
  const marks = shown.map(([canvas]) => {
    const mark = element("span", { class: "mark" });
    canvas.after(mark);
    return mark;
  });
  shown[0][0].getContext("2d").drawImage(picture, 0, 0);
  paint(shown[1][0], truth, data.palette);
  paint(shown[2][0], predicted, data.palette);
  const wide = view.clientWidth < 500 ? 340 : 640; // so that letters stay readable on a phone
  const plot = element("svg:svg", { viewBox: `0 0 ${wide} 190`, class: "plot", role: "img" });
  const said = element("output", { "aria-live": "polite" });
  const maps = element("div", { class: "maps", tabindex: 0, role: "application",
    "aria-label": "The scene in false colour, its ground truth and the predicted map. Arrow keys move the pixel that is marked." });
  maps.append(...shown.map(([, figure]) => figure));
  view.replaceChildren(maps, said, plot, source(data));
  const name = (value) => (value ? data.names[value - 1] : "unlabelled");
  const [row, column] = data.start;
  let at = row * data.width + column;

  const draw = () => {
    const [r, c] = [Math.floor(at / data.width), at % data.width];
    for (const mark of marks) Object.assign(mark.style, { left: `${(100 * (c + 0.5)) / data.width}%`, top: `${(100 * (r + 0.5)) / data.height}%` });
    const distances = data.training.map((other) => Math.hypot(Math.floor(other / data.width) - r, (other % data.width) - c));
    const nearest = Math.min(...distances);
    const other = data.training[distances.indexOf(nearest)];
    said.textContent = `Row ${r}, column ${c}. Truth: ${name(truth[at])}. Predicted: ${name(predicted[at])}, confidence ${confidence[at]} %. ` +
      (nearest ? `Nearest training pixel: ${nearest.toFixed(1)} pixels away (${name(truth[other])}).` : "It is a training pixel.");
    const values = data.bands.map((_, band) => (spectra[band * size + at] * data.largest) / 255);
    view.dataset.spectrum = JSON.stringify(values.map(Math.round));
    const frame = { left: 52, right: wide - 18, top: 10, bottom: 160 };
    const x = scale(data.bands[0], data.bands.at(-1), frame.left, frame.right);
    const y = scale(0, data.largest, frame.bottom, frame.top);
    clear(plot);
    axes(plot, frame, x, y, data.ticks, [0, data.largest]);
    // a line breaks where bands were left out
    const step = (data.bands.at(-1) - data.bands[0]) / data.bands.length;
    const path = values.map((value, band) => {
      const first = !band || data.bands[band] - data.bands[band - 1] > 3 * step;
      return `${first ? "M" : "L"}${x(data.bands[band]).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    plot.append(element("svg:path", { d: path.join(""), class: "line" }), text((frame.left + frame.right) / 2, 186, data.axis));
    plot.setAttribute("aria-label", `Spectrum of row ${r}, column ${c}`);
  };

  const point = (event) => {
    const box = event.target.getBoundingClientRect();
    const [c, r] = [((event.clientX - box.left) / box.width) * data.width, ((event.clientY - box.top) / box.height) * data.height];
    at = Math.min(data.height - 1, Math.max(0, Math.floor(r))) * data.width + Math.min(data.width - 1, Math.max(0, Math.floor(c)));
    draw();
  };
  for (const [canvas] of shown) for (const kind of ["pointermove", "pointerdown"]) canvas.addEventListener(kind, point);
  maps.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -data.width, ArrowDown: data.width }[event.key];
    if (!step) return;
    event.preventDefault();
    at = Math.min(size - 1, Math.max(0, at + step));
    draw();
  });
  draw();
};

// The loop: a slider through its cycles, with map, queried pixels, the pool's entropy and the point on the curve.
VIEWS.loop = async (view, data) => {
  const classes = await greys(data.maps);
  const size = data.width * data.height;
  const [canvas, figure] = map(data, "The class of every pixel; queried pixels are marked, this cycle's in black");
  const slider = element("input", { type: "range", min: 0, max: data.cycles.length - 1, value: data.cycles.length - 1, "aria-label": "Cycle" });
  const said = element("output", { "aria-live": "polite" });
  const curve = element("svg:svg", { viewBox: "0 0 320 190", class: "plot", role: "img", "aria-label": "Overall accuracy over labels" });
  const bars = element("svg:svg", { viewBox: "0 0 320 190", class: "plot", role: "img", "aria-label": "Predictive entropy of the remaining pool" });
  view.replaceChildren(element("label", {}, "Cycle ", slider), said, element("div", { class: "beside" }, figure, element("div", {}, curve, bars)), source(data));
  const scored = data.cycles.filter((cycle) => cycle.OA !== null);
  const [low, high] = [Math.floor(Math.min(...scored.map((cycle) => cycle.OA)) / 10) * 10, 100];
  const frame = { left: 36, right: 312, top: 12, bottom: 156 };
  const x = scale(data.cycles[0].labels, data.cycles.at(-1).labels, frame.left, frame.right);
  const y = scale(low, high, frame.bottom, frame.top);
  const most = Math.max(...data.entropy.flat());

  const draw = () => {
    const at = Number(slider.value);
    const cycle = data.cycles[at];
    paint(canvas, classes.subarray(at * size, (at + 1) * size), data.palette);
    const context = canvas.getContext("2d");
    for (const [asked, row, column] of data.queried) {
      if (asked > at) continue;
      context.fillStyle = asked === at ? "#000000" : "#ffffff";
      context.fillRect(column, row, 1, 1);
    }
    const accuracy = cycle.OA === null ? "not evaluated" : `${cycle.OA.toFixed(2)} %`;
    said.textContent = `Cycle ${cycle.cycle}: ${cycle.labels} labels, overall accuracy on the hold-out ${accuracy}.`;
    slider.setAttribute("aria-valuetext", said.textContent);
    clear(curve);
    axes(curve, frame, x, y, [data.cycles[0].labels, data.cycles.at(-1).labels], [low, high]);
    const line = scored.map((each, place) => `${place ? "L" : "M"}${x(each.labels).toFixed(1)} ${y(each.OA).toFixed(1)}`).join("");
    curve.append(element("svg:path", { d: line, class: "line" }), text(174, 186, "labels; overall accuracy, %"));
    if (cycle.OA !== null) curve.append(element("svg:circle", { cx: x(cycle.labels), cy: y(cycle.OA), r: 5, class: "dot" }));
    clear(bars);
    data.entropy[at].forEach((count, bin) => {
      const height = (144 * count) / most;
      bars.append(element("svg:rect", { x: 36 + 27.6 * bin, width: 25, y: 156 - height, height, class: "bar" }));
    });
    bars.append(text(36, 170, "0"), text(312, 170, "1"), text(174, 186, "entropy / log K; pixels of the remaining pool"), text(32, 20, `${most}`, "end"));
  };
  slider.addEventListener("input", draw);
  draw();
};

// The split: where training and test pixels lie, and what each method then reaches.
VIEWS.split = async (view, data) => {
  const roles = Object.fromEntries(await Promise.all(Object.entries(data.roles).map(async ([name, image]) => [name, await greys(image)])));
  const [canvas, figure] = map(data, "");
  const caption = figure.querySelector("figcaption");
  const chart = element("svg:svg", { viewBox: `0 0 360 ${30 * data.methods.length + 46}`, class: "plot", role: "img" });
  const said = element("output", { "aria-live": "polite" });
  const choices = Object.keys(data.roles).map((name, place) => {
    const input = element("input", { type: "radio", name: "split", value: name, ...(place ? {} : { checked: "" }) });
    return [input, element("label", {}, input, ` ${name} `)];
  });
  const legend = element("legend", {}, "Test pixels");
  view.replaceChildren(element("fieldset", {}, legend, ...choices.map(([, label]) => label)), said, element("div", { class: "beside" }, figure, chart));
  const x = scale(0, 100, 142, 342);
  chart.append(element("svg:line", { x1: 142, x2: 342, y1: 12, y2: 12, class: "grid" }));
  const bottom = 30 * data.methods.length + 10;
  for (const tick of [0, 50, 100]) chart.append(text(x(tick), bottom + 16, tick), element("svg:line", { x1: x(tick), x2: x(tick), y1: 5, y2: bottom, class: "grid" }));
  chart.append(text(242, bottom + 30, "overall accuracy, %"));
  const dots = data.methods.map((method, place) => {
    const [dot, value] = [element("svg:circle", { cy: 30 * place + 20, r: 6, class: "dot moving" }), text(0, 30 * place + 12, "")];
    chart.append(text(134, 30 * place + 24, method.name, "end"), dot, value);
    return [dot, value];
  });
  const draw = () => {
    const chosen = choices.find(([input]) => input.checked)[0].value;
    paint(canvas, roles[chosen], data.palette);
    caption.textContent = data.captions[chosen];
    const listed = data.methods.map((method, place) => {
      const [dot, value] = dots[place];
      const accuracy = method[chosen];
      dot.style.display = value.style.display = accuracy === null ? "none" : "";
      if (accuracy === null) return `${method.name} not run`;
      dot.setAttribute("cx", x(accuracy));
      value.setAttribute("x", x(accuracy));
      value.textContent = accuracy.toFixed(1);
      return `${method.name} ${accuracy.toFixed(1)} %`;
    });
    said.textContent = `Overall accuracy at ${chosen}: ${listed.join(", ")}.`;
    chart.setAttribute("aria-label", said.textContent);
  };
  for (const [input] of choices) input.addEventListener("change", draw);
  draw();
};

document.addEventListener("DOMContentLoaded", () => {
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      const name = target.dataset.view;
      const script = element("script", { src: new URL(`${name}.js`, folder) });
      script.addEventListener("load", () => VIEWS[name](target, window.CPDGAL[name]));
      document.head.append(script);
    }
  }, { rootMargin: "600px" });
  for (const view of document.querySelectorAll(".view")) near.observe(view);
});
