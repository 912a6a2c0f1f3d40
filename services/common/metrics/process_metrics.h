// What the system knows of this process, under the names that Prometheus' clients share. Internal to Metrics.
#pragma once

#include <vector>

#include "prometheus/metric_family.h"

namespace switchyard {

/// CPU time, resident and virtual memory, descriptors and their limit, threads, start. What cannot be read is left out.
std::vector<prometheus::MetricFamily> ProcessMetrics();

}  // namespace switchyard
