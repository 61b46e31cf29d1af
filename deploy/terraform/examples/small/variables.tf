variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "image" {
  description = "Image of the gateway, with its tag."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "private_subnet_ids" {
  description = "Two private subnets or more, in different zones."
  type        = list(string)
}
