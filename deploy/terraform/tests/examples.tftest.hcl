# The examples as root modules.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  image              = "iotlink-gateway:0.1.0"
  vpc_id             = "vpc-0123456789abcdef0"
  private_subnet_ids = ["subnet-a", "subnet-b", "subnet-c"]
}

run "small" {
  module {
    source = "./examples/small"
  }
}

run "large" {
  module {
    source = "./examples/large"
  }
  variables {
    public_subnet_ids            = ["subnet-d", "subnet-e", "subnet-f"]
    ecr_repository_arn           = "arn:aws:ecr:eu-central-1:111122223333:repository/iotlink-gateway"
    device_certificate_arn       = "arn:aws:acm:eu-central-1:111122223333:certificate/d"
    rest_certificate_arn         = "arn:aws:acm:eu-central-1:111122223333:certificate/r"
    web_acl_arn                  = "arn:aws:wafv2:eu-central-1:111122223333:regional/webacl/iotlink/1"
    logs_bucket                  = "access-logs"
    kms_key_arn                  = "arn:aws:kms:eu-central-1:111122223333:key/k"
    alerts_stream_arn            = "arn:aws:kinesis:eu-central-1:111122223333:stream/alerts"
    erp_secret_arn               = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf"
    alarm_topic_arn              = "arn:aws:sns:eu-central-1:111122223333:oncall"
    prometheus_security_group_id = "sg-prometheus"
  }
}
