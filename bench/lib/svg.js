'use strict';

/** A picture of the medians: horizontal bars by rival, with a whisker from the lowest to the highest round. */

const { figure } = require('./experiment.js');
const { number } = require('./table.js');

const WIDTH = 760;
const LABELS = 130;
const FIGURES = 110;
const BAR = 16;
const GAP = 6;
const TITLE = 34;

/** Node's own in grey, ours in colour, what is no cluster at all in pale. */
const COLOURS = [
  [/^rcluster/, '#d9591c'],
  [/^node/, '#7a828c'],
  [/./, '#b9c2cc'],
];

/** @param {string} rival */
const colour = (rival) => /** @type {[RegExp, string]} */ (COLOURS.find(([who]) => /** @type {RegExp} */ (who).test(rival)))[1];

/** @param {string} text */
const escape = (text) => text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);

/**
 * @param {{ experiment: import('./experiment.js').Experiment, outcome: import('./experiment.js').Outcome }[]} done
 * @param {string} caption
 * @returns {string} the SVG, or an empty string when there is nothing to draw
 */
function drawing(done, caption) {
  let y = 10;
  const panels = [];
  for (const { experiment, outcome } of done) {
    for (const [key, metric] of Object.entries(experiment.metrics)) {
      const bars = Object.keys(outcome.samples).flatMap((rival) => {
        const found = figure(outcome, rival, key);
        return found ? [{ rival, ...found }] : [];
      });
      if (!metric.chart || bars.length === 0) continue;
      panels.push(panel(metric, bars, y));
      y += TITLE + bars.length * (BAR + GAP) + 10;
    }
  }
  if (panels.length === 0) return '';
  const height = y + 24;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
${panels.join('\n')}
<text x="10" y="${height - 10}" fill="#57606a" font-size="10">${escape(caption)}</text>
</svg>
`;
}

/**
 * @param {import('./experiment.js').Metric} metric
 * @param {({ rival: string } & import('./stats.js').Summary)[]} bars
 * @param {number} top
 */
function panel({ title, unit, digits }, bars, top) {
  const room = WIDTH - LABELS - FIGURES;
  const largest = Math.max(...bars.map((bar) => bar.max)) || 1;
  const x = (/** @type {number} */ value) => (LABELS + (value / largest) * room).toFixed(1);
  const drawn = bars.map((bar, i) => {
    const y = top + TITLE + i * (BAR + GAP);
    const middle = y + BAR / 2;
    return [
      `<text x="${LABELS - 8}" y="${middle + 4}" text-anchor="end" fill="#24292f">${escape(bar.rival)}</text>`,
      `<rect x="${LABELS}" y="${y}" width="${((bar.median / largest) * room).toFixed(1)}" height="${BAR}" fill="${colour(bar.rival)}"/>`,
      `<path d="M${x(bar.min)} ${middle}H${x(bar.max)}" stroke="#24292f"/>`,
      `<text x="${WIDTH - 10}" y="${middle + 4}" text-anchor="end" fill="#24292f">${number(bar.median, digits)}</text>`,
    ].join('\n');
  });
  const heading = escape(`${title}${unit && `, ${unit}`}`);
  return `<text x="10" y="${top + 20}" font-weight="bold" fill="#24292f">${heading}</text>\n${drawn.join('\n')}`;
}

module.exports = { drawing };
