// What the simulated Doubao looks at before it answers. Every function says what is wrong, "" if nothing is. Pure.
// Source: protocol notes of Doubao, section 3.4.
#pragma once

#include <map>
#include <string>

#include "boost/json/value.hpp"
#include "services/common/http/http_server.h"

namespace simulator::doubao {

using Parameters = std::map<std::string, std::string>;

Parameters ReadQuery(const std::string& query);
/// Cookies by name.
Parameters ReadCookies(const switchyard::HttpServerRequest& request);

std::string WrongHeaders(const switchyard::HttpServerRequest& request);
std::string WrongQuery(const Parameters& query);
std::string WrongBody(const boost::json::value& body, const Parameters& query);
/// "" if it is none.
std::string TextAt(const boost::json::value& value, std::initializer_list<const char*> path);
const boost::json::value* At(const boost::json::value& value, std::initializer_list<const char*> path);

}  // namespace simulator::doubao
