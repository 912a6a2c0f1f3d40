// A picture of a conversation, decoded.
#pragma once

#include <string>

namespace switchyard {

struct PromptImage {
  std::string media_type;  // image/png, image/jpeg, image/webp or image/gif: what the bytes are, whatever was claimed
  std::string bytes;
};

}  // namespace switchyard
