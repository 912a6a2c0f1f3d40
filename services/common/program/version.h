// Which Switchyard this is, for build information and traces.
#pragma once

namespace switchyard {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace switchyard
