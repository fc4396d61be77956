import { BOX, sparkPath } from "../lib/sparkline";

export interface SparklineProps {
  values: readonly (number | null)[];
  color?: string;
  label: string;
}

export function Sparkline({ values, color = "currentColor", label }: SparklineProps) {
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${BOX.width} ${BOX.height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <path
        d={sparkPath(values)}
        fill="none"
        stroke={color}
        stroke-width="1.5"
        stroke-linejoin="round"
        vector-effect="non-scaling-stroke"
      />
    </svg>
  );
}
