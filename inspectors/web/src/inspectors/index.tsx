/** The inspectors by the word that `spec.inspectors[].type` names them with. */
import type { ComponentType } from "preact";
import type { InspectorInit } from "../lib/init";
import type { InspectorType } from "../types/api";
import { MetricLineChart } from "./line-chart";
import { ScalarSummary } from "./scalar-summary";
import { Slideshow } from "./slideshow";

export const INSPECTORS: Readonly<Record<InspectorType, ComponentType<{ init: InspectorInit }>>> = {
  metric_line_chart: MetricLineChart,
  scalar_summary: ScalarSummary,
  slideshow: Slideshow,
};
