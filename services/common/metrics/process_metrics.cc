#include "services/common/metrics/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace switchyard {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Single(const char* name, const char* help, MetricType type, double value) {
  MetricFamily family{name, help, type, {}};
  family.metric.emplace_back();
  (type == MetricType::Counter ? family.metric.back().counter.value : family.metric.back().gauge.value) = value;
  return family;
}

std::string ReadAll(const char* path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The fields of /proc/self/stat from the third on; the second, the name, may hold anything.
std::vector<std::string> StatFields() {
  const std::string stat = ReadAll("/proc/self/stat");
  const size_t end_of_name = stat.rfind(") ");
  if (end_of_name == std::string::npos) return {};
  return absl::StrSplit(stat.substr(end_of_name + 2), ' ');
}

/// Field `number` of proc(5), counted from 1; -1 if it is not there.
double Field(const std::vector<std::string>& fields, size_t number) {
  double value;
  return number - 3 < fields.size() && absl::SimpleAtod(fields[number - 3], &value) ? value : -1;
}

/// Seconds since 1970 at which the machine started; -1 if not known.
double BootTime() {
  static const double boot = [] {
    const std::string stat = ReadAll("/proc/stat");
    for (absl::string_view line : absl::StrSplit(stat, '\n')) {
      double value;
      if (absl::ConsumePrefix(&line, "btime ") && absl::SimpleAtod(line, &value)) return value;
    }
    return -1.0;
  }();
  return boot;
}

int OpenDescriptors() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return -1;
  int count = 0;
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.';
  closedir(directory);
  return count - 1;  // this directory itself
}

}  // namespace

std::vector<MetricFamily> ProcessMetrics() {
  std::vector<MetricFamily> all;
  const auto add = [&all](const char* name, const char* help, double value, MetricType type = MetricType::Gauge) {
    if (value >= 0) all.push_back(Single(name, help, type, value));
  };
  const std::vector<std::string> fields = StatFields();
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const double user = Field(fields, 14), system = Field(fields, 15), started = Field(fields, 22);
  if (user >= 0 && system >= 0)
    add("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", (user + system) / ticks,
        MetricType::Counter);
  if (started >= 0 && BootTime() >= 0)
    add("process_start_time_seconds", "Start time of the process since the Unix epoch in seconds.",
        BootTime() + started / ticks);
  add("process_virtual_memory_bytes", "Virtual memory size in bytes.", Field(fields, 23));
  const double pages = Field(fields, 24);
  if (pages >= 0)
    add("process_resident_memory_bytes", "Resident memory size in bytes.",
        pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
  add("process_threads", "Number of threads in the process.", Field(fields, 20));
  add("process_open_fds", "Number of open file descriptors.", OpenDescriptors());
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    add("process_max_fds", "Maximum number of open file descriptors.", static_cast<double>(limit.rlim_cur));
  return all;
}

}  // namespace switchyard
