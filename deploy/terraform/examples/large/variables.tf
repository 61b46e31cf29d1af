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

variable "public_subnet_ids" {
  description = "Public subnets for the load balancer that devices reach."
  type        = list(string)
}

variable "ecr_repository_arn" {
  description = "ECR repository of the image."
  type        = string
}

variable "device_certificate_arn" {
  description = "ACM certificate for MQTT over TLS."
  type        = string
}

variable "rest_certificate_arn" {
  description = "ACM certificate of the REST API."
  type        = string
}

variable "web_acl_arn" {
  description = "WAF of the REST API."
  type        = string
}

variable "logs_bucket" {
  description = "S3 bucket for the load balancers' access logs."
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key for streams, spool, log and secrets."
  type        = string
}

variable "alerts_stream_arn" {
  description = "The stream for alerts, which another team owns."
  type        = string
}

variable "erp_secret_arn" {
  description = "Secrets Manager secret that the ERP signs its requests with."
  type        = string
}

variable "alarm_topic_arn" {
  description = "SNS topic of the people on call."
  type        = string
}

variable "prometheus_security_group_id" {
  description = "Security group of Prometheus."
  type        = string
}
