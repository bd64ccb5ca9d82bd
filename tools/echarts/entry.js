// Of Apache ECharts only what the directors' page draws, with the SVG renderer: it prints sharp.
import { BarChart, BoxplotChart, HeatmapChart, LineChart, ScatterChart } from "echarts/charts";
import { GridComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([
  BarChart, BoxplotChart, HeatmapChart, LineChart, ScatterChart,
  GridComponent, MarkLineComponent, TooltipComponent, SVGRenderer,
]);
globalThis.echarts = { init };
