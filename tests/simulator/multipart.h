// Uploads as the simulated platforms read them: multipart/form-data to the letter.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "services/common/http/http_server.h"

namespace simulator {

struct FormPart {
  std::string name;
  std::string filename;  // of a file
  std::string type;      // of a file
  std::string bytes;
  bool is_file = false;
};

/// The parts in their order. @param why set, and none returned, if the body is not exactly such a form
std::vector<FormPart> ReadForm(const switchyard::HttpServerRequest& request, std::string& why);

/// What is wrong with a file: a name without an ending, a type that is not what the ending or the bytes say; or "".
std::string FileFault(const FormPart& file);
std::string FileFault(const std::string& filename, const std::string& type, const std::string& bytes);

bool IsImageType(const std::string& type);

}  // namespace simulator
