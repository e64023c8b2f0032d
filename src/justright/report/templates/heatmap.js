// The histograms come as bytes: first bin, number of bins, zeros, not finite, and one level a bin.
const unpack = (packed) => {
  const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const tensors = [];
  for (let at = 0; at < bytes.length;) {
    const [first, bins] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    tensors.push({ first, zeros: bytes[at + 4], nonfinite: bytes[at + 5], levels: bytes.subarray(at + 6, at + 6 + bins) });
    at += 6 + bins;
  }
  return tensors;
};

const makeHeatmap = () => {
  const host = byId("heatmap");
  const { low, high, formats, decades } = data.heatmap;
  const tensors = { forward: unpack(data.heatmap.forward), gradient: unpack(data.heatmap.gradient) };
  const canvas = host.querySelector("canvas");
  const overlay = host.querySelector("svg");
  const readout = byId("heatmap-readout");
  const bins = high - low + 1;
  const pad = { left: 66, right: 128, top: 22, bottom: 40 };
  const band = 9;
  let direction = "forward";
  let range = [0, count];
  let cursor = 0;
  let box = { width: 0, height: 0 };

  const channels = (name) => colour(name).match(/[\d.]+/g).slice(0, 3).map(Number);
  const palette = () => {
    const stops = ["heat-0", "heat-1", "heat-2"].map(channels);
    return Array.from({ length: 256 }, (_, level) => {
      const place = (level / 255) * 2;
      const [from, to] = place < 1 ? [stops[0], stops[1]] : [stops[1], stops[2]];
      return from.map((channel, each) => Math.round(channel + (to[each] - channel) * (place % 1 || +(place === 2))));
    });
  };
  const y = (exponent) => pad.top + box.height * (1 - (exponent - low) / bins);
  const x = (site) => pad.left + box.width * ((site - range[0]) / (range[1] - range[0]));

  // Where several sites share a pixel, the highest level is shown: an outlier must not be averaged away.
  const image = (rows, columns, levelsOf) => {
    const peak = new Uint8Array(rows * columns);
    const span = range[1] - range[0];
    tensors[direction].slice(...range).forEach((tensor, site) => {
      const column = Math.floor((site * columns) / span);
      levelsOf(tensor, (row, level) => {
        const place = (rows - 1 - row) * columns + column;
        if (level > peak[place]) peak[place] = level;
      });
    });
    return peak;
  };
  const paintBand = (context, peak, rows, columns, top, height, colours) => {
    const made = make("canvas");
    [made.width, made.height] = [columns, rows];
    const pixels = new ImageData(columns, rows);
    peak.forEach((level, place) => {
      if (level) pixels.data.set([...colours[level], 255], 4 * place);
    });
    made.getContext("2d").putImageData(pixels, 0, 0);
    context.drawImage(made, pad.left, top, box.width, height);
  };
  const paint = () => {
    const scale = devicePixelRatio || 1;
    const [width, height] = [host.clientWidth, host.clientHeight];
    box = { width: Math.max(40, width - pad.left - pad.right), height: height - pad.top - pad.bottom - band - 3 };
    [canvas.width, canvas.height] = [width * scale, height * scale];
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.imageSmoothingEnabled = false;
    const columns = Math.max(1, Math.min(range[1] - range[0], Math.floor(box.width * scale)));
    const colours = palette();
    const all = image(bins, columns, ({ first, levels }, put) => levels.forEach((level, bin) => put(first + bin, level)));
    paintBand(context, all, bins, columns, pad.top, box.height, colours);
    const zeros = image(1, columns, (tensor, put) => put(0, tensor.zeros));
    paintBand(context, zeros, 1, columns, pad.top + box.height + 3, band, colours);
    const odd = image(1, columns, (tensor, put) => put(0, tensor.nonfinite));
    const alarm = channels("finding");
    paintBand(context, odd, 1, columns, pad.top - band - 3, band, colours.map(() => alarm));
    annotate(width);
  };

  const line = (x1, y1, x2, y2, name) => overlay.append(svg("line", { x1, y1, x2, y2, class: name }));
  const write = (left, top, words, anchor, name = "") =>
    overlay.append(svg("text", { x: left, y: top, "text-anchor": anchor, class: name }, words));
  const labels = (width) => {
    const ends = formats.flatMap(({ name, high: above, low: below }, style) => [
      { at: above, words: `${name} overflows`, style }, { at: below, words: `${name} to zero`, style },
    ]).filter(({ at }) => at > low && at < high + 1).sort((a, b) => b.at - a.at);
    let free = -Infinity;
    ends.forEach(({ at, words, style }) => {
      const top = Math.max(y(at) + 4, free);
      free = top + 13;
      line(pad.left, y(at), pad.left + box.width, y(at), `range style-${style}`);
      line(pad.left + box.width, y(at), pad.left + box.width + 8, top - 4, `range style-${style}`);
      write(pad.left + box.width + 10, top, words, "start", "small");
    });
    const far = formats.filter(({ high: above, low: below }) => above >= high + 1 || below <= low);
    byId("heatmap-beyond").textContent = far.map(({ name, high: above, low: below }) =>
      `${name} reaches from ${showPower(Math.round(below))} to ${showPower(Math.round(above))}, beyond the picture.`).join(" ");
  };
  const annotate = (width) => {
    overlay.replaceChildren();
    overlay.setAttribute("viewBox", `0 0 ${width} ${host.clientHeight}`);
    overlay.append(svg("rect", { x: pad.left, y: pad.top, width: box.width, height: box.height, class: "box" }));
    const step = [2, 4, 8, 16, 32, 64].find((each) => (bins / each) * 20 < box.height) || 128;
    for (let exponent = Math.ceil(low / step) * step; exponent <= high + 1; exponent += step) {
      if (y(exponent) < pad.top + box.height - 8) write(pad.left - 6, y(exponent) + 4, showPower(exponent), "end");
      line(pad.left - 4, y(exponent), pad.left, y(exponent), "tick");
    }
    write(pad.left - 6, pad.top + box.height + band + 3, "zero", "end", "small");
    write(pad.left - 6, pad.top - 4, "not finite", "end", "small");
    const bottom = pad.top + box.height + band + 3;
    [0, 0.25, 0.5, 0.75, 1].forEach((part) => {
      const site = Math.round(range[0] + part * (range[1] - 1 - range[0]));
      write(x(site + 0.5), bottom + 15, String(site), "middle", "small");
    });
    write(pad.left + box.width / 2, bottom + 31, "site, in execution order", "middle");
    labels(width);
    if (cursor >= range[0] && cursor < range[1]) line(x(cursor + 0.5), pad.top, x(cursor + 0.5), pad.top + box.height, "cursor");
  };

  const tell = (index) => {
    const tensor = tensors[direction][index];
    const share = (level) => (level ? 10 ** (decades * (level / 255 - 1)) : 0);
    const { levels, first } = tensor;
    const spread = levels.length
      ? `magnitudes from ${showPower(low + first)} to ${showPower(low + first + levels.length)}` : "no magnitudes";
    const parts = [`${sites.name[index]}: ${direction === "forward" ? "signal" : "gradient"}, ${spread}`];
    if (tensor.zeros) parts.push(`${showShare(Number(share(tensor.zeros).toPrecision(2)))} zeros`);
    if (tensor.nonfinite) parts.push(`${showShare(Number(share(tensor.nonfinite).toPrecision(2)))} not finite`);
    return parts.join(", ");
  };
  const move = (index) => {
    cursor = Math.min(Math.max(index, 0), count - 1);
    if (cursor < range[0] || cursor >= range[1]) range = [0, count];
    host.setAttribute("aria-valuenow", cursor);
    host.setAttribute("aria-valuetext", tell(cursor));
    readout.textContent = tell(cursor);
    paint();
  };
  const siteAt = (event) => {
    const part = (event.clientX - host.getBoundingClientRect().left - pad.left) / box.width;
    return part < 0 || part >= 1 ? -1 : Math.floor(range[0] + part * (range[1] - range[0]));
  };

  host.addEventListener("pointermove", (event) => {
    const index = siteAt(event);
    if (index >= 0) readout.textContent = tell(index);
  });
  host.addEventListener("click", (event) => {
    const index = siteAt(event);
    if (index >= 0) location.hash = `#site-${index}`;
  });
  host.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.round((range[1] - range[0]) / 20));
    const moves = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: page, PageDown: -page, Home: -count, End: count };
    if (event.key in moves) move(cursor + moves[event.key]);
    else if (event.key === "Enter") location.hash = `#site-${cursor}`;
    else return;
    event.preventDefault();
  });
  document.querySelectorAll("input[name=direction]").forEach((radio) => radio.addEventListener("change", () => {
    direction = radio.value;
    host.setAttribute("aria-label", `Heat map of ${direction === "forward" ? "signals" : "gradients"} by binary exponent`);
    move(cursor);
  }));
  addEventListener("resize", paint);
  repaints.push(paint);
  host.setAttribute("aria-valuemax", count - 1);
  move(0);
  readout.textContent = "";
  return {
    move,
    zoom: (from, to) => {
      const first = Math.max(0, Math.min(count - 1, Math.floor(from + 0.5)));
      range = [first, Math.max(first + 1, Math.min(count, Math.ceil(to + 0.5)))];
      paint();
    },
  };
};
