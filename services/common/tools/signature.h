// A tool as a model reads it: a signature, which is a third of the same tool's JSON Schema in length.
//
//   get_weather: The weather of a city
//     city: string. The city's name
//     unit?: "celsius" | "fahrenheit" (default "celsius")
//
// What a signature cannot say is said as JSON Schema.
//
// Pure.
#pragma once

#include <string>

#include "boost/json/value.hpp"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// @param brief without descriptions
std::string SignatureOf(const chat::v1::Tool& tool, bool brief = false);

}  // namespace switchyard
