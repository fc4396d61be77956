/** The chart's controls, all of whose state stands in the URL. */
import { AXES, type Axis } from "../../lib/chart";
import { SMOOTHING_MODES, type SmoothingMode } from "../../lib/smooth";
import { flag, interval, list, number, oneOf } from "../../lib/urlstate";
import { Segments } from "../../ui/bits";
import { Icon } from "../../ui/icons";
import { type Control, control } from "../../ui/router";

export interface ChartControls {
  metrics: Control<readonly string[]>;
  axis: Control<Axis>;
  logX: Control<boolean>;
  logY: Control<boolean>;
  mode: Control<SmoothingMode>;
  weight: Control<number>;
  range: Control<readonly [number, number] | null>;
  clip: Control<boolean>;
  raw: Control<boolean>;
  table: Control<boolean>;
}

export function chartControls(prefix: string): ChartControls {
  return {
    metrics: control(list("m"), prefix),
    axis: control(oneOf("x", AXES, "step"), prefix),
    logX: control(flag("lx"), prefix),
    logY: control(flag("ly"), prefix),
    mode: control(oneOf("s", SMOOTHING_MODES, "off"), prefix),
    weight: control(number("w", 0.6, 0, 0.999), prefix),
    range: control(interval("r"), prefix),
    clip: control(flag("clip"), prefix),
    raw: control(flag("all"), prefix),
    table: control(flag("t"), prefix),
  };
}

/** Off → EMA → time-weighted → off: what the key `s` does. */
export function nextMode(mode: SmoothingMode): SmoothingMode {
  return SMOOTHING_MODES[(SMOOTHING_MODES.indexOf(mode) + 1) % SMOOTHING_MODES.length] as SmoothingMode;
}

export function ControlBar({ c, thinned }: { c: ChartControls; thinned: boolean }) {
  const setAxis = (axis: Axis) => {
    c.range.set(null, true); // its units are gone with the axis
    c.axis.set(axis);
  };
  return (
    <>
      <Segments
        label="X axis"
        value={c.axis.value}
        onChange={setAxis}
        options={[
          ["step", "Step"],
          ["relative", "Time", "Seconds since the series began"],
          ["wall", "Clock", "Local time"],
        ]}
      />
      <div class="row">
        <Segments
          label="Smoothing"
          value={c.mode.value}
          onChange={c.mode.set}
          options={[
            ["off", "Raw", "No smoothing (s)"],
            ["ema", "EMA", "Exponential moving average (s)"],
            ["time", "Time EMA", "Weighted by the distance on the x axis (s)"],
          ]}
        />
        {c.mode.value !== "off" && (
          <input
            class="slider"
            type="range"
            min="0"
            max="0.995"
            step="0.005"
            value={c.weight.value}
            aria-label="Smoothing weight"
            title={`Weight ${c.weight.value}`}
            onInput={(event) => c.weight.set(Number(event.currentTarget.value), true)}
          />
        )}
      </div>
      <div class="row toggles">
        <Toggle on={c.logY} text="Log y" title="Logarithmic y axis (l)" />
        {c.axis.value !== "wall" && <Toggle on={c.logX} text="Log x" title="Logarithmic x axis" />}
        <Toggle on={c.clip} text="Clip" title="Show the middle 98 % of the values" />
        {(thinned || c.raw.value) && (
          <Toggle on={c.raw} text="All points" title="Fetch every point instead of the extremes of each stretch" />
        )}
        <Toggle on={c.table} text="Table" title="The figures as a table" />
      </div>
      {c.range.value && (
        <button
          type="button"
          class="button quiet"
          onClick={() => c.range.set(null)}
          title="Show everything (double-click)"
        >
          <Icon name="reset" />
          Reset zoom
        </button>
      )}
    </>
  );
}

function Toggle({ on, text, title }: { on: Control<boolean>; text: string; title: string }) {
  return (
    <button type="button" class="button quiet" aria-pressed={on.value} title={title} onClick={() => on.set(!on.value)}>
      {text}
    </button>
  );
}
